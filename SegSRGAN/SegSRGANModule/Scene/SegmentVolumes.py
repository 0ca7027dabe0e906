"""Volumes of segments in millilitres."""

from __future__ import annotations

import vtk

_MILLILITRES = 1e-3  # per cubic millimetre


def volumesOf(segmentationNode) -> list[tuple[str, float]]:
    """(name, mL) of every segment, from its binary label map: voxels times the size of a voxel."""
    segments = _segmentsOf(segmentationNode)
    return [(segment.GetName(), _volume(labelmap, segment.GetLabelValue())) for segment, labelmap in segments]


def stampOf(segmentationNode) -> tuple:
    """Changes when names or voxels do; counting voxels takes a moment, so it is not done in vain."""
    segments = _segmentsOf(segmentationNode)
    return segmentationNode.GetID(), *(
        (s.GetName(), labelmap.GetMTime() if labelmap else 0) for s, labelmap in segments
    )


def _segmentsOf(segmentationNode) -> list[tuple]:
    segmentation = segmentationNode.GetSegmentation()
    ids = segmentation.GetSegmentIDs()
    return [(segmentation.GetSegment(i), segmentationNode.GetBinaryLabelmapInternalRepresentation(i)) for i in ids]


def _volume(labelmap, value: int) -> float:
    """mL of the voxels with this value; several segments may share one label map."""
    if labelmap is None or labelmap.IsEmpty():
        return 0.0
    statistics = vtk.vtkImageAccumulate()
    statistics.SetInputData(labelmap)
    statistics.SetComponentExtent(0, 0, 0, 0, 0, 0)
    statistics.SetComponentOrigin(value, 0, 0)
    statistics.Update()
    voxels = statistics.GetOutput().GetScalarComponentAsDouble(0, 0, 0, 0)
    x, y, z = labelmap.GetSpacing()
    return voxels * x * y * z * _MILLILITRES
