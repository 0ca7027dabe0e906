"""Sample data: a public fetal atlas, made anisotropic here, and a phantom that needs no network."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import slicer

from .ChildProcess import PHANTOM, ChildProcess, Outcome

CATEGORY = "SegSRGAN"
ATLAS_NAME, PHANTOM_NAME = "SegSRGANFetalAtlas", "SegSRGANPhantom"
# Sample Data writes the first node name on the button.
ATLAS_LABEL, PHANTOM_LABEL = "Fetal brain, 34 weeks, thick slices", "Phantom, thick slices (offline)"
_ATLAS_NODE = "SBA34_T2w"
# CC0: Fidon et al., "A spatio-temporal atlas of the developing fetal brain with spina bifida aperta",
# Open Research Europe 1:123 (2021); 34 weeks, operated.
ATLAS_URL = (
    "https://raw.githubusercontent.com/LucasFidon/trustworthy-ai-fetal-brain-segmentation/"
    "38cf1fb77bc896d133941b8f5388ef18feb2cae7/data/fetal_brain_atlases/"
    "SpinaBifida_Fidon2021/fetal_SB_atlas_GA34_operated/srr.nii.gz"
)
ATLAS_SHA256 = "af6a31a26026e11a961bad7c89d16b1f4ba7bb57119df3098bb4d99d57e516b1"
THICK_SLICES = 3.2  # mm, four of the atlas's slices


def registerSampleData() -> None:
    """List the samples in the Sample Data module; nothing is fetched until one is clicked."""
    try:
        import SampleData
    except ImportError:  # a Slicer without that module
        return
    icons = Path(__file__).resolve().parents[2] / "Resources" / "Icons"
    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    common = {"category": CATEGORY, "thumbnailFileName": os.fspath(icons / "SegSRGAN.png")}
    register(
        **common,
        sampleName=ATLAS_NAME,
        uris=ATLAS_URL,
        fileNames="SegSRGAN_SBA_GA34_operated_srr.nii.gz",
        nodeNames=ATLAS_LABEL,
        checksums=f"SHA256:{ATLAS_SHA256}",
        customDownloader=loadAtlas,
    )
    register(
        **common,
        sampleName=PHANTOM_NAME,
        uris="",
        fileNames="",
        nodeNames=PHANTOM_LABEL,
        customDownloader=loadPhantom,
    )


def loadAtlas(source):
    """Download and verify the atlas; returns [high-resolution volume, the same as a scanner would see it]."""
    import SampleData

    path = SampleData.SampleDataLogic().downloadSourceIntoCache(source)[0]
    return list(loadThick(Path(path), _ATLAS_NODE))


def loadThick(path: Path, name: str, thickness: float = THICK_SLICES) -> tuple:
    """Load a volume and its simulated acquisition with thick axial slices; returns (high, low) nodes."""
    high = slicer.util.loadVolume(str(path), {"name": f"{name}_high_resolution"})
    return high, thickSlices(high, name, thickness)


def thickSlices(volumeNode, name: str, thickness: float = THICK_SLICES):
    """A new volume node: `volumeNode` as acquired with slices of `thickness` mm along its third axis."""
    from ..Scene.VolumeNodes import imageFromVolume

    return _addVolume(_thick(imageFromVolume(volumeNode), thickness), name)


def loadPhantom(source=None) -> list:
    """The procedural phantom, computed in a child process: [thick slices, the true labels at high resolution].

    Raises:
        RuntimeError: the computation failed.
    """
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory(prefix="SegSRGAN-", dir=slicer.app.temporaryPath) as folder:
        _computePhantom(folder)
        scan, labels = (sitk.ReadImage(f"{folder}/phantom_{name}.nrrd") for name in ("T2w", "labels"))
    labelsNode = _addVolume(labels, "phantom_labels", "vtkMRMLLabelMapVolumeNode")
    return [_addVolume(scan, "phantom_T2w"), labelsNode]


def _computePhantom(folder: str) -> None:
    outcomes: list[Outcome] = []
    arguments = [folder, "--thickness", str(THICK_SLICES)]
    ChildProcess(arguments, outcomes.append, stopsOnRequest=False, script=PHANTOM).start().wait()
    if not outcomes[0].succeeded:
        raise RuntimeError(outcomes[0].error)


def _thick(image, thickness: float):
    """Each slice is the mean of what lies in it, the field of view stays: enough for a demonstration.

    Experiments use `segsrgan simulate`, the observation model of the paper.
    """
    import SimpleITK as sitk

    factor = max(1, round(thickness / image.GetSpacing()[2]))
    return sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), [1, 1, factor])


def _addVolume(image, name: str, className: str = "vtkMRMLScalarVolumeNode"):
    from ..Scene.VolumeNodes import setVolumeFromImage

    node = slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))
    setVolumeFromImage(node, image)
    node.CreateDefaultDisplayNodes()
    if className == "vtkMRMLScalarVolumeNode":
        slicer.util.setSliceViewerLayers(background=node, fit=slicer.app.layoutManager() is not None)
    return node
