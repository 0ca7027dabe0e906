"""Files of a run -> nodes that a Slicer user expects.

The enhanced volume is shown as the input is (window, level, colours); all outputs lie under the input's transform and
beside it in the subject hierarchy; the segmentation knows the grid it was drawn on; the record of the run goes along.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import slicer

from . import Terminology
from .Nodes import setVolumeFromImage

RECORD_ATTRIBUTE = "SegSRGAN.Record"
FOLDER_ATTRIBUTE = "SegSRGAN.Folder"
INPUT_ROLE = "SegSRGAN.input"


class Nodes(NamedTuple):
    """Outputs of a run. Before it: the nodes to fill, None makes a new one. `probability` is made only when wanted."""

    volume: object = None
    segmentation: object = None
    probability: object = None


@dataclass(frozen=True)
class InputTraits:
    """What the outputs take over from the input, noted at the start: the node may be gone at the end."""

    name: str
    nodeId: str
    transformId: str | None
    hierarchyParent: int
    windowLevel: tuple[float, float] | None
    colorId: str | None

    @classmethod
    def of(cls, volumeNode) -> InputTraits:
        display = volumeNode.GetDisplayNode()
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
        return cls(
            name=volumeNode.GetName(),
            nodeId=volumeNode.GetID(),
            transformId=volumeNode.GetTransformNodeID(),
            hierarchyParent=hierarchy.GetItemParent(item) if item else 0,
            windowLevel=(display.GetWindow(), display.GetLevel()) if display else None,
            colorId=display.GetColorNodeID() if display else None,
        )


@dataclass(frozen=True)
class ResultFiles:
    """The files that `segsrgan predict` leaves for an input called `name`."""

    folder: Path
    name: str

    def path(self, suffix: str) -> Path:
        return self.folder / f"{self.name}_{suffix}"

    def keepForQualityControl(self) -> None:
        """Delete what is in the scene now: only the record, the pictures and the consistency map stay."""
        shutil.rmtree(self.folder / "input", ignore_errors=True)
        for kind in ("sr", "cortex", "cortex-probability"):
            self.path(f"{kind}.nii.gz").unlink(missing_ok=True)

    @property
    def record(self) -> dict:
        return json.loads(self.path("record.json").read_text(encoding="utf-8"))


def load(files: ResultFiles, traits: InputTraits, nodes: Nodes, wantProbability: bool) -> Nodes:
    """Fill the nodes with the files of a run, making those that are not given or were deleted meanwhile.

    Raises:
        OSError, RuntimeError, ValueError: a file cannot be read; the scene is as it was then.
    """
    record, images = files.record, _images(files, wantProbability)
    slicer.mrmlScene.SaveStateForUndo()
    volume = _volume(nodes.volume, f"{traits.name} enhanced", images["sr"], traits)
    _showAs(volume, traits)
    segmentation = probability = None
    if "cortex" in images:
        segmentation = _segmentation(nodes.segmentation, traits, images["cortex"], volume)
    if "cortex-probability" in images:
        name = f"{traits.name} cortex probability"
        probability = _volume(nodes.probability, name, images["cortex-probability"], traits)
        _showProbability(probability)
    outputs = Nodes(volume, segmentation, probability)
    for node in filter(None, outputs):
        _annotate(node, record, files.folder, traits)
    return outputs


def recordOf(node) -> dict | None:
    """The record of the run that made the node, or None."""
    text = node.GetAttribute(RECORD_ATTRIBUTE) if node else None
    return json.loads(text) if text else None


def folderOf(node) -> Path | None:
    """The folder with the run's files, if it still exists."""
    text = node.GetAttribute(FOLDER_ATTRIBUTE) if node else None
    return Path(text) if text and Path(text).is_dir() else None


def isInScene(node) -> bool:
    return node is not None and node.GetScene() is not None


def _images(files: ResultFiles, wantProbability: bool) -> dict:
    """All images that become nodes, read before any node is made."""
    import SimpleITK as sitk

    kinds = ["sr"]
    if files.path("cortex.nii.gz").is_file():  # a model may enhance only
        kinds += ["cortex", "cortex-probability"] if wantProbability else ["cortex"]
    return {kind: sitk.ReadImage(str(files.path(f"{kind}.nii.gz"))) for kind in kinds}


def _volume(node, name: str, image, traits: InputTraits):
    node = _existingOrNew(node, "vtkMRMLScalarVolumeNode", name)
    setVolumeFromImage(node, image)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    _place(node, traits)
    return node


def _segmentation(node, traits: InputTraits, image, volume):
    import SimpleITK as sitk

    node = _existingOrNew(node, "vtkMRMLSegmentationNode", f"{traits.name} cortex")
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation = node.GetSegmentation()
    if segmentation.GetSegment(Terminology.SEGMENT_ID) is None:
        segmentation.AddEmptySegment(Terminology.SEGMENT_ID, Terminology.SEGMENT_NAME, Terminology.SEGMENT_COLOR)
        segmentation.GetSegment(Terminology.SEGMENT_ID).SetTerminology(Terminology.TERMINOLOGY_ENTRY)
    _place(node, traits)  # before the voxels: they are brought from the volume's space to the segmentation's
    labels = sitk.GetArrayFromImage(image)
    slicer.util.updateSegmentBinaryLabelmapFromArray(labels, node, Terminology.SEGMENT_ID, volume)
    node.CreateClosedSurfaceRepresentation()
    return node


def _existingOrNew(node, className: str, name: str):
    if isInScene(node):
        return node
    return slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))


def _place(node, traits: InputTraits) -> None:
    """Under the input's transform, beside the input in the subject hierarchy."""
    if traits.transformId is None or slicer.mrmlScene.GetNodeByID(traits.transformId):
        node.SetAndObserveTransformNodeID(traits.transformId)
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    if item and traits.hierarchyParent and hierarchy.GetItemName(traits.hierarchyParent) is not None:
        hierarchy.SetItemParent(item, traits.hierarchyParent)


def _showAs(volume, traits: InputTraits) -> None:
    display = volume.GetDisplayNode()
    if traits.windowLevel:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*traits.windowLevel)
    if traits.colorId and slicer.mrmlScene.GetNodeByID(traits.colorId):
        display.SetAndObserveColorNodeID(traits.colorId)


def _showProbability(volume) -> None:
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)


def _annotate(node, record: dict, folder: Path, traits: InputTraits) -> None:
    node.SetAttribute(RECORD_ATTRIBUTE, json.dumps(record))
    node.SetAttribute(FOLDER_ATTRIBUTE, str(folder))
    if slicer.mrmlScene.GetNodeByID(traits.nodeId):
        node.SetNodeReferenceID(INPUT_ROLE, traits.nodeId)
