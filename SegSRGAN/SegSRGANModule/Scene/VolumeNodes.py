"""Volume nodes <-> SimpleITK images.

Slicer speaks RAS, ITK speaks LPS: x and y change sign. Voxels are written through SimpleITK, as 64-bit text geometry in
NRRD, so that the library computes on exactly the grid that Slicer shows.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

_FLIPPED_AXES = (0, 1)  # rows of a 4 x 4 matrix that change sign between RAS and LPS


def imageFromVolume(volumeNode):
    """The voxels and geometry of a volume node as a SimpleITK image, without its parent transform.

    Raises:
        ValueError: see `gridOf`.
    """
    import SimpleITK as sitk

    grid = gridOf(volumeNode, leastSize=1)
    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(volumeNode))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def gridOf(volumeNode, leastSize: int = 2):
    """The library's grid of a volume node (LPS), from its matrix alone; the parent transform is left out.

    Raises:
        ValueError: no voxels, fewer than `leastSize` along an axis, or axes that an image file cannot hold.
    """
    import numpy as np

    from SegSRGANLib.data.grid import Grid

    name = volumeNode.GetName()
    if volumeNode.GetImageData() is None or not volumeNode.GetImageData().GetNumberOfPoints():
        raise ValueError(_("The volume {name} has no voxels; load it again.").format(name=name))
    size = volumeNode.GetImageData().GetDimensions()
    if min(size) < leastSize:
        raise ValueError(_("{name} is a single slice; a volume is needed.").format(name=name))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ijkToLps = slicer.util.arrayFromVTKMatrix(matrix)
    ijkToLps[_FLIPPED_AXES, :] *= -1
    spacing = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    if not (np.isfinite(ijkToLps).all() and (spacing > 0).all()):
        raise ValueError(_("{name} has no valid voxel spacing; load the original scan.").format(name=name))
    direction = ijkToLps[:3, :3] / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
        text = _("The axes of {name} are not at right angles (a sheared scan); resample it first.")
        raise ValueError(text.format(name=name))
    numbers = (spacing, ijkToLps[:3, 3], direction.ravel())
    return Grid(size, *(tuple(map(float, values)) for values in numbers))  # ty: ignore[invalid-argument-type]  # 3, 3, 9


def setVolumeFromImage(volumeNode, image) -> None:
    """Put the voxels and geometry of a SimpleITK image into a volume node."""
    import numpy as np
    import SimpleITK as sitk

    ijkToRas = np.eye(4)
    ijkToRas[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    ijkToRas[:3, 3] = image.GetOrigin()
    ijkToRas[_FLIPPED_AXES, :] *= -1
    slicer.util.updateVolumeFromArray(volumeNode, sitk.GetArrayFromImage(image))
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))


def toWorld(node, points):
    """World RAS (n, 3) of RAS points (n, 3) of a node, through its parent transform, be it linear or not."""
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    if node.GetParentTransformNode() is None:
        return points
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    after.SetDataTypeToDouble()
    before.SetData(numpy_to_vtk(points.astype("float64"), deep=True))
    transform.TransformPoints(before, after)  # point by point in Python it takes seconds for a mask
    return vtk_to_numpy(after.GetData()).copy()


def writeVolume(volumeNode, path: Path) -> None:
    """Write a volume node as float32."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.Cast(imageFromVolume(volumeNode), sitk.sitkFloat32), str(path))


def writeMask(maskNode, volumeNode, path: Path) -> None:
    """Write a segmentation or label map as an image of 1 and 0, in the voxel space of `volumeNode`.

    Raises:
        ValueError: see `writeLabels`.
    """
    writeLabels(maskNode, volumeNode, path, onlyInside=True)


def writeLabels(
    labelsNode, volumeNode, path: Path, *, value: int = 1, segmentIds: list[str] | None = None, onlyInside: bool = False
) -> None:
    """Write a segmentation or label map as a label image.

    Args:
        labelsNode: a segmentation is drawn on the grid of the volume; a label map keeps its own.
        value: of the voxels inside the segments.
        segmentIds: the segments that count; None is all of them.
        onlyInside: write a label map as 1 and 0 too.

    Raises:
        ValueError: a label map under another transform than the volume, or nothing inside.
    """
    import numpy as np
    import SimpleITK as sitk

    if labelsNode.IsA("vtkMRMLSegmentationNode"):
        labels = sitk.Cast(_exportedLabels(labelsNode, volumeNode, segmentIds) != 0, sitk.sitkUInt8) * value
    elif labelsNode.GetTransformNodeID() != volumeNode.GetTransformNodeID():
        text = _("{labels} and {volume} are under different transforms; harden them.")
        raise ValueError(text.format(labels=labelsNode.GetName(), volume=volumeNode.GetName()))
    else:
        labels = imageFromVolume(labelsNode)
        labels = sitk.Cast(labels != 0, sitk.sitkUInt8) if onlyInside else sitk.Cast(labels, sitk.sitkUInt16)
    if not np.any(sitk.GetArrayViewFromImage(labels)):
        text = _("{labels} is empty inside {volume}.")
        raise ValueError(text.format(labels=labelsNode.GetName(), volume=volumeNode.GetName()))
    sitk.WriteImage(labels, str(path))


def labelsOfSegments(segmentationNode, volumeNode, segmentIds: list[str]):
    """Segments as one label image (uint8) on the grid of a volume: 1 for the first, 2 for the second ...

    Where segments overlap, the first one counts.
    """
    import SimpleITK as sitk

    labels = None
    for number, segmentId in reversed(list(enumerate(segmentIds, start=1))):
        inside = sitk.Cast(_exportedLabels(segmentationNode, volumeNode, [segmentId]) != 0, sitk.sitkUInt8)
        labels = inside * number if labels is None else labels * (1 - inside) + inside * number
    return labels


def _exportedLabels(segmentationNode, volumeNode, segmentIds):
    """Segments as a label image on the grid of the volume; the transforms of both are taken into account."""
    scene = slicer.mrmlScene
    labelsNode = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "SegSRGAN temporary")
    labelsNode.SetHideFromEditors(True)
    try:
        ids = vtk.vtkStringArray()
        for segmentId in segmentIds or list(segmentationNode.GetSegmentation().GetSegmentIDs()):
            ids.InsertNextValue(segmentId)
        logic = slicer.modules.segmentations.logic()
        if not logic.ExportSegmentsToLabelmapNode(segmentationNode, ids, labelsNode, volumeNode):
            text = _("The segmentation {name} could not be written.")
            raise ValueError(text.format(name=segmentationNode.GetName()))
        return imageFromVolume(labelsNode)
    finally:
        display = labelsNode.GetDisplayNode()
        for node in (labelsNode, display, display.GetColorNode() if display else None):
            # the export makes a colour table for its labels; a shared one has a singleton tag
            if node and node.GetScene() and not node.GetSingletonTag():
                scene.RemoveNode(node)
