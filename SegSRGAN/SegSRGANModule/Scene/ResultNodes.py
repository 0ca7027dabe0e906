"""Files of a run -> nodes that a Slicer user expects.

The enhanced volume is shown as the input is (window, level, colours); all outputs lie under the input's transform and
beside it in the subject hierarchy; the segmentation knows the grid it was drawn on; the record of the run goes along.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import slicer

from . import BrainMask, DisagreementMap, Ownership, ReportNode, SegmentEdits, Terminology
from .InputTraits import InputTraits, noteContent
from .Ownership import RECORD_ATTRIBUTE
from .VolumeNodes import setVolumeFromImage

_FILL_OPACITY = 0.3
_BIDS_ENDINGS = dict.fromkeys(("cortex.nii.gz", "segmentation.nii.gz"), "dseg.nii.gz") | {"sr.nii.gz": "T2w.nii.gz"}
SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()


class Nodes(NamedTuple):
    """Outputs of a run. Before it: the nodes to fill, None makes a new one. `probability` is made only when wanted."""

    volume: object = None
    segmentation: object = None
    probability: object = None


@dataclass(frozen=True)
class ResultFiles:
    """The files that `segsrgan predict` leaves for an input called `name`."""

    folder: Path
    name: str

    @classmethod
    def ofRecord(cls, record: Path) -> ResultFiles:
        """The files beside a record, of `segsrgan predict` or `batch`."""
        return cls(record.parent, record.name.removesuffix("_record.json"))

    def path(self, suffix: str) -> Path:
        """A file by its ending; in a BIDS dataset some are called otherwise."""
        plain = self.folder / f"{self.name}_{suffix}"
        bids = self.folder / f"{self.name}_{_BIDS_ENDINGS.get(suffix, suffix)}"
        return bids if not plain.is_file() and bids.is_file() else plain

    def labels(self, classes: list[str]) -> Path:
        """The label map: 1 for the first class, 2 for the second."""
        return self.path("cortex.nii.gz" if classes == [Terminology.SEGMENT_ID] else "segmentation.nii.gz")

    def probability(self, name: str) -> Path:
        """Of a class."""
        from SegSRGANLib.data.classes import file_part

        return self.path(f"{file_part(name)}-probability.nii.gz")

    def page(self) -> str | None:
        """The report, if the run wrote one."""
        path = self.path("report.html")
        return path.read_text(encoding="utf-8") if path.is_file() else None

    @property
    def record(self) -> dict:
        return json.loads(self.path("record.json").read_text(encoding="utf-8"))


def load(files: ResultFiles, traits: InputTraits, nodes: Nodes, wantProbability: bool) -> Nodes:
    """Fill the nodes with the files of a run, making those that are not given or were deleted meanwhile.

    Raises:
        OSError, RuntimeError, ValueError: a file cannot be read; the scene is as it was then.
    """
    record, traits = files.record, traits.now()
    classes = classesOf(record)
    images = _Images.read(files, classes, wantProbability)
    volume = _volume(nodes.volume, f"{traits.name} enhanced", images.volume, traits)
    segmentation = probability = None
    if images.segmentation is not None:
        segmentation = _segmentation(nodes.segmentation, traits, images.segmentation, volume, classes)
    if images.probability is not None:
        name = f"{traits.name} {classes[0]} probability"
        probability = _volume(nodes.probability, name, images.probability, traits, _showProbability)
    outputs = Nodes(volume, segmentation, probability)
    for node in filter(None, outputs):
        _annotate(node, record, traits)
    noteContent(volume, traits)
    _keepWith(volume, images.map, images.page, traits)
    _keepMask(images.mask, traits)
    return outputs


def classesOf(record: dict) -> list[str]:
    """Names of what the model of a run segments, in the order of the labels; records of old runs do not say it."""
    return record.get("classes", [Terminology.SEGMENT_ID])


def recordOf(node) -> dict | None:
    """The record of the run that made the node, or None."""
    text = node.GetAttribute(RECORD_ATTRIBUTE) if node else None
    return json.loads(text) if text else None


def isInScene(node) -> bool:
    return node is not None and node.GetScene() is not None


@dataclass(frozen=True)
class _Images:
    """All that becomes nodes, read before any node is made; None for what a run did not make."""

    volume: object
    segmentation: object
    probability: object
    map: object
    mask: object
    page: str | None

    @classmethod
    def read(cls, files: ResultFiles, classes: list[str], wantProbability: bool) -> _Images:
        import SimpleITK as sitk

        segments = files.labels(classes).is_file()  # a model may enhance only
        consistency = files.path("consistency.nii.gz")
        paths = (
            files.path("sr.nii.gz"),
            files.labels(classes) if segments else None,
            files.probability(classes[0]) if segments and wantProbability else None,
            consistency if consistency.is_file() else None,
            files.path("brain-mask.nii.gz") if files.path("brain-mask.nii.gz").is_file() else None,
        )
        return cls(*(None if path is None else sitk.ReadImage(str(path)) for path in paths), files.page())


def _keepMask(image, traits: InputTraits) -> None:
    """A brain mask that the run found becomes that of its scan, unless the scan has one by now."""
    scan = traits.scan
    if image is None or scan is None or Ownership.chosen(scan, "brainMask"):
        return
    mask = BrainMask.fromImage(image, traits.name, scan)
    _place(mask, traits, isNew=True)
    Ownership.choose(scan, "brainMask", mask)


def _keepWith(volume, image, page: str | None, traits: InputTraits) -> None:
    """Map and page go with the enhanced volume; those of an earlier run do not stay."""
    if image is None:
        DisagreementMap.remove(volume)
    else:
        isNew = DisagreementMap.mapOf(volume) is None
        node = DisagreementMap.store(volume, image)
        _place(node, traits, isNew)
        Ownership.setOwner(node, traits.scan)
    ReportNode.remove(volume) if page is None else ReportNode.store(volume, page)


def _volume(node, name: str, image, traits: InputTraits, show: Callable | None = None):
    """A new node is shown as the input is, or by `show`; in one that had voxels the display is the reader's."""
    node = _existingOrNew(node, "vtkMRMLScalarVolumeNode", name)
    isNew = node.GetImageData() is None
    setVolumeFromImage(node, image)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    _place(node, traits, isNew)
    if isNew:
        show(node) if show else _showAs(node, traits)
    return node


def _segmentation(node, traits: InputTraits, image, volume, classes: list[str]):
    import SimpleITK as sitk

    content = classes[0] if len(classes) == 1 else "segmentation"
    node = _existingOrNew(node, "vtkMRMLSegmentationNode", f"{traits.name} {content}")
    isNew = node.GetSegmentation().GetNumberOfSegments() == 0
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation = node.GetSegmentation()
    hasSurface = segmentation.ContainsRepresentation(SURFACE)
    if earlier := recordOf(node):
        for name in set(classesOf(earlier)) - set(classes):  # another model made them; the user's own segments stay
            segmentation.RemoveSegment(name)
    _place(node, traits, isNew)  # before the voxels: they are brought from the volume's space to the segmentation's
    labels = sitk.GetArrayFromImage(image)
    _showIn3D(node.GetDisplayNode(), Terminology.ensureSegments(segmentation, classes))
    for index, name in enumerate(classes):
        inside = (labels == index + 1).astype(labels.dtype)
        slicer.util.updateSegmentBinaryLabelmapFromArray(inside, node, name, volume)
    if hasSurface:
        node.RemoveClosedSurfaceRepresentation()
        node.CreateClosedSurfaceRepresentation()
    SegmentEdits.markUnedited(node, classes)
    if isNew:
        _showSegments(node.GetDisplayNode())
    return node


def _existingOrNew(node, className: str, name: str):
    if isInScene(node):
        return node
    return slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))


def _place(node, traits: InputTraits, isNew: bool) -> None:
    """Under the input's transform; a new node also beside the input in the subject hierarchy."""
    if traits.transformId is None or slicer.mrmlScene.GetNodeByID(traits.transformId):
        node.SetAndObserveTransformNodeID(traits.transformId)
    if not isNew:
        return
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    if item and traits.hierarchyParent:
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


def _showSegments(display) -> None:
    """An outline with a thin filling, and no surface in 3D, until a reader wants it otherwise."""
    display.SetOpacity2DFill(_FILL_OPACITY)
    display.SetVisibility2DOutline(True)
    display.SetVisibility3D(False)


def _showIn3D(display, added: list[str]) -> None:
    """Of new segments only the cortex has a surface to see: the fluid around it would hide it."""
    for segmentId in added if Terminology.SEGMENT_ID in added else ():
        display.SetSegmentVisibility3D(segmentId, segmentId == Terminology.SEGMENT_ID)


def _annotate(node, record: dict, traits: InputTraits) -> None:
    node.SetAttribute(RECORD_ATTRIBUTE, json.dumps(record))
    Ownership.setOwner(node, traits.scan)
