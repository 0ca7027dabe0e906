"""Where the brain is: the box that *Fit to brain* shows."""

from __future__ import annotations

import slicer

_MOST_VOXELS = 2e6  # looked at


def bounds(mask, segmentation, volume) -> tuple[float, ...]:
    """World RAS box (x from, to, y from, to, z from, to) of the mask, else of the segmentation, else of the volume."""
    for node in (mask, segmentation):
        points = _drawn(node) if node else None
        if points is not None:
            low, high = points.min(axis=0), points.max(axis=0)
            return tuple(float(value) for pair in zip(low, high, strict=True) for value in pair)
    box = [0.0] * 6
    volume.GetRASBounds(box)
    return tuple(box)


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
    return _toWorld(node, points) if len(points) else None


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


def _toWorld(node, points):
    import numpy as np
    import vtk

    if node.GetParentTransformNode() is None:
        return points
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    return np.array([transform.TransformPoint(point) for point in points])
