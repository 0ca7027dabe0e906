"""Whether a volume and a mask can be used, in words, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from . import Frames, VolumeNodes

_MOST_COLOURS = 4  # values of a voxel of a colour picture: red, green, blue, opacity
# Of a label map: whole numbers from 0 on, hardly any left out, and neighbours inside mostly equal.
_HIGHEST_LABEL, _LEAST_USED, _LEAST_EQUAL = 255, 0.3, 0.7


@dataclass(frozen=True)
class _Values:
    """What the voxels of a volume are like; counted once for each content."""

    low: float
    high: float
    notFinite: int
    labels: int  # different values where they look like labels, else 0


_known: dict[str, tuple[int, _Values]] = {}  # node id -> time stamp of the voxels, what they are like


def check(volumeNode, maskNode=None) -> None:
    """Raise ValueError when the volume or the mask cannot be used; the sentence says why and what to do."""
    checkVolume(volumeNode)
    if maskNode is not None:
        checkMask(maskNode)


def checkVolume(volumeNode) -> None:
    VolumeNodes.gridOf(volumeNode)
    name, components = volumeNode.GetName(), volumeNode.GetImageData().GetNumberOfScalarComponents()
    if components > _MOST_COLOURS:
        text = _("{name} has {count} values a voxel (a 4D scan); load it as a volume sequence, and choose a frame.")
        raise ValueError(text.format(name=name, count=components))
    if components > 1:
        text = _("{name} is a colour picture ({count} values a voxel); choose a volume with one value a voxel.")
        raise ValueError(text.format(name=name, count=components))
    values = valuesOf(volumeNode)
    if values.notFinite:
        text = _("{name} has {count} voxels that are no numbers (NaN or infinite); load the original scan.")
        raise ValueError(text.format(name=name, count=values.notFinite))
    if values.low == values.high:
        text = _("All voxels of {name} have the same value, {value:g}; load the scan again.")
        raise ValueError(text.format(name=name, value=values.low))
    if values.labels:
        text = _("{name} looks like a label map ({count} different values from 0 on); choose the scan itself.")
        raise ValueError(text.format(name=name, count=values.labels))


def checkStacks(volumeNode, moreStacks) -> None:
    """Raise ValueError when one of several stacks of a child cannot be used, or is chosen twice."""
    for index, node in enumerate(moreStacks):
        if node in (volumeNode, *moreStacks[:index]):
            text = _("{name} is chosen twice; each stack must be another scan of the child.")
            raise ValueError(text.format(name=node.GetName()))
        checkVolume(node)


def checkMask(maskNode) -> None:
    """Raise ValueError for a mask without anything inside."""
    if maskNode.IsA("vtkMRMLSegmentationNode"):
        ids = maskNode.GetSegmentation().GetSegmentIDs()
        isEmpty = all(_isEmptySegment(maskNode, segmentId) for segmentId in ids)
    else:
        isEmpty = maskNode.GetImageData() is None or maskNode.GetImageData().GetScalarRange() == (0.0, 0.0)
    if isEmpty:
        text = _("The mask {name} is empty; draw the brain in it, or choose no mask.")
        raise ValueError(text.format(name=maskNode.GetName()))


def sequenceWarning(volumeNode) -> str:
    """A sentence for a volume that shows one frame of a sequence (4D), or ""."""
    browser, _sequence = Frames.sequenceOf(volumeNode)
    if browser is None:
        return ""
    text = _(
        "{name} is one of {count} frames of a sequence: the frame shown, number {number}, is enhanced; All frames "
        "makes a volume of each and enhances them in turn."
    )
    number = browser.GetSelectedItemNumber() + 1
    return text.format(name=volumeNode.GetName(), count=browser.GetNumberOfItems(), number=number)


def valuesOf(volumeNode) -> _Values:
    """What the voxels are like; looked at again only when they were changed."""
    stamp = volumeNode.GetImageData().GetMTime()
    known = _known.get(volumeNode.GetID())
    if known is None or known[0] != stamp:
        known = _known[volumeNode.GetID()] = stamp, _look(slicer.util.arrayFromVolume(volumeNode))
    return known[1]


def _look(array) -> _Values:
    import numpy as np

    notFinite = 0 if array.dtype.kind in "iu" else int(array.size - np.isfinite(array).sum())
    low, high = (0.0, 0.0) if notFinite else (float(array.min()), float(array.max()))
    isCandidate = not notFinite and low == 0 and 0 < high <= _HIGHEST_LABEL
    return _Values(low, high, notFinite, _labelsIn(array) if isCandidate else 0)


def _labelsIn(array) -> int:
    """How many different labels an array holds; 0 where it is an image."""
    import numpy as np

    inside = array[..., 1:] > 0
    if not np.array_equal(array, np.round(array)) or not inside.any():
        return 0
    different = np.unique(array)
    areUsed = len(different) > _LEAST_USED * (float(different[-1]) + 1)
    areEqual = float(np.mean((array[..., 1:] == array[..., :-1])[inside])) > _LEAST_EQUAL
    return len(different) if areUsed and areEqual else 0


def _isEmptySegment(segmentationNode, segmentId: str) -> bool:
    labelmap = segmentationNode.GetBinaryLabelmapInternalRepresentation(segmentId)
    if labelmap is None or labelmap.IsEmpty():
        return True
    import numpy as np
    from vtk.util.numpy_support import vtk_to_numpy

    value = segmentationNode.GetSegmentation().GetSegment(segmentId).GetLabelValue()
    return not np.any(vtk_to_numpy(labelmap.GetPointData().GetScalars()) == value)
