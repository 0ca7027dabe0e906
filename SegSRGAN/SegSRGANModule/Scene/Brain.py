"""Where the brain is: the box that *Fit to brain* shows."""

from __future__ import annotations

import slicer

from .VolumeNodes import toWorld

_MOST_VOXELS = 2e6  # looked at
_known: dict[str, tuple[tuple, tuple[float, ...] | None]] = {}  # node id -> stamp of what is drawn and where, its box


def bounds(mask, segmentation, volume) -> tuple[float, ...]:
    """World RAS box (x from, to, y from, to, z from, to) of the mask, else of the segmentation, else of the volume."""
    for node in filter(None, (mask, segmentation)):
        if found := _boxOf(node):
            return found
    box = [0.0] * 6
    volume.GetRASBounds(box)
    return tuple(box)


def _boxOf(node) -> tuple[float, ...] | None:
    """Box of what is drawn, None for nothing; looked at again only when that or its place has changed."""
    stamp = _stamp(node)
    known = _known.get(node.GetID())
    if known is None or known[0] != stamp:
        points = _drawn(node)
        box = None
        if points is not None:
            low, high = points.min(axis=0), points.max(axis=0)
            box = tuple(float(value) for pair in zip(low, high, strict=True) for value in pair)
        known = _known[node.GetID()] = stamp, box
    return known[1]


def _stamp(node) -> tuple:
    transform = node.GetParentTransformNode()
    place = node.GetMTime(), transform.GetTransformToWorldMTime() if transform else 0
    if not node.IsA("vtkMRMLSegmentationNode"):
        return *place, node.GetImageData().GetMTime() if node.GetImageData() else 0
    ids = node.GetSegmentation().GetSegmentIDs()
    labelmaps = [node.GetBinaryLabelmapInternalRepresentation(segmentId) for segmentId in ids]
    return *place, *(labelmap.GetMTime() if labelmap else 0 for labelmap in labelmaps)


def _drawn(node):
    """World RAS (n, 3) of what is drawn in a segmentation or label map; None when it is empty."""
    import numpy as np
    import vtk

    found = []
    if node.IsA("vtkMRMLSegmentationNode"):
        for segmentId in node.GetSegmentation().GetSegmentIDs():
            labelmap = slicer.vtkOrientedImageData()
            if node.GetBinaryLabelmapRepresentation(segmentId, labelmap):
                matrix = vtk.vtkMatrix4x4()
                labelmap.GetImageToWorldMatrix(matrix)
                found.append((labelmap, labelmap.GetExtent(), matrix))
    elif node.GetImageData() is not None:
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        found.append((node.GetImageData(), node.GetImageData().GetExtent(), matrix))
    points = np.vstack([_points(*entry) for entry in found] or [np.empty((0, 3))])
    return toWorld(node, points) if len(points) else None


def _points(image, extent, matrix):
    """(n, 3) of the voxels that are not 0, through the matrix of the image; thinned out in large images."""
    import numpy as np
    from vtk.util.numpy_support import vtk_to_numpy

    if image.GetPointData().GetScalars() is None:
        return np.empty((0, 3))
    inside = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    step = max(1, round((inside.size / _MOST_VOXELS) ** (1 / 3)))
    ijk = np.argwhere(inside[::step, ::step, ::step])[:, ::-1] * step + extent[::2]
    toRas = slicer.util.arrayFromVTKMatrix(matrix)
    return ijk @ toRas[:3, :3].T + toRas[:3, 3]
