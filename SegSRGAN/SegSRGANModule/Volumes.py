"""Volumes of segments in millilitres."""

from __future__ import annotations

import vtk

_MILLILITRES = 1e-3  # per cubic millimetre


def volumesOf(segmentationNode) -> list[tuple[str, float]]:
    """(name, mL) of every segment, from its binary label map: voxels times the size of a voxel."""
    segmentation = segmentationNode.GetSegmentation()
    rows = []
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        rows.append((segment.GetName(), _count(segmentationNode, segmentId, segment)))
    return rows


def _count(segmentationNode, segmentId: str, segment) -> float:
    labelmap = segmentationNode.GetBinaryLabelmapInternalRepresentation(segmentId)
    if labelmap is None or labelmap.IsEmpty():
        return 0.0
    statistics = vtk.vtkImageAccumulate()
    statistics.SetInputData(labelmap)
    value = segment.GetLabelValue()  # several segments may share one label map
    statistics.SetComponentExtent(0, 0, 0, 0, 0, 0)
    statistics.SetComponentOrigin(value, 0, 0)
    statistics.Update()
    voxels = statistics.GetOutput().GetScalarComponentAsDouble(0, 0, 0, 0)
    x, y, z = labelmap.GetSpacing()
    return voxels * x * y * z * _MILLILITRES
