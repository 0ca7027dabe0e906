"""Whether a person has changed the segments that a run left: a result of hand work is never replaced unasked."""

from __future__ import annotations

import hashlib
import json

import slicer

_ATTRIBUTE = "SegSRGAN.Segments"
_DIGITS = 3  # of a millimetre; storage writes the geometry as text


def markUnedited(segmentationNode, segmentIds: list[str]) -> None:
    """Note the content of these segments as the work of a run."""
    marks = {segmentId: _fingerprint(segmentationNode, segmentId) for segmentId in segmentIds}
    segmentationNode.SetAttribute(_ATTRIBUTE, json.dumps(marks))


def editedSegments(segmentationNode) -> list[str]:
    """Names of the segments that a new run would replace and that hold a person's work.

    These are segments of the last run that look otherwise now. Where no run has drawn anything, every segment that is
    not empty counts.
    """
    if segmentationNode is None or segmentationNode.GetScene() is None:
        return []
    segmentation = segmentationNode.GetSegmentation()
    text = segmentationNode.GetAttribute(_ATTRIBUTE)
    if text is None:
        marks = dict.fromkeys(segmentation.GetSegmentIDs(), "")
    else:
        marks = {segmentId: mark for segmentId, mark in json.loads(text).items() if segmentation.GetSegment(segmentId)}
    return [
        segmentation.GetSegment(segmentId).GetName()
        for segmentId, mark in marks.items()
        if _fingerprint(segmentationNode, segmentId) != mark
    ]


def contentOf(segmentationNode) -> dict[str, str]:
    """A fingerprint of every segment by its id, to see whether anything was drawn meanwhile."""
    if segmentationNode is None or segmentationNode.GetScene() is None:
        return {}
    return {i: _fingerprint(segmentationNode, i) for i in segmentationNode.GetSegmentation().GetSegmentIDs()}


def _fingerprint(segmentationNode, segmentId: str) -> str:
    """A hash of the voxels inside and their place; "" for an empty segment.

    It does not depend on the extent of the stored label map, which changes when a scene is saved.
    """
    import numpy as np
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    labelmap = segmentationNode.GetBinaryLabelmapInternalRepresentation(segmentId)
    if labelmap is None or labelmap.IsEmpty():
        return ""
    value = segmentationNode.GetSegmentation().GetSegment(segmentId).GetLabelValue()
    shape = labelmap.GetDimensions()[::-1]
    inside = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape) == value
    corner = []
    for axis in range(3):
        hits = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        if not hits.size:
            return ""
        corner.append(int(hits[0]))
        inside = inside.take(range(int(hits[0]), int(hits[-1]) + 1), axis=axis)
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    first = np.add(corner[::-1], labelmap.GetExtent()[::2])
    geometry = slicer.util.arrayFromVTKMatrix(matrix)
    place = np.round([*(geometry @ [*first, 1.0])[:3], *geometry[:3, :3].ravel()], _DIGITS) + 0.0
    return hashlib.sha256(np.packbits(inside).tobytes() + str((inside.shape, place.tolist())).encode()).hexdigest()
