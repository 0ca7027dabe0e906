"""Asymmetric, oblique, anisotropic test volumes: a mirrored or transposed copy differs, so mistakes show."""

import numpy as np
import SimpleITK as sitk
import slicer

SHAPE = (10, 44, 36)  # z, y, x
SPACING = (0.8, 0.7, 2.4)  # mm
ORIGIN = (-12.0, 7.0, 21.0)  # LPS
OBLIQUE = (0.3, -0.2, 0.5)  # rotation in radians
CORTEX_VALUE, INNER_VALUE = 200.0, 100.0


def ellipsoids() -> np.ndarray:
    """A bright shell around a grey core, off centre along every axis, and a bright bead in one corner."""
    z, y, x = np.indices(SHAPE).astype(float)
    radius = ((z - 5.3) / 4.0) ** 2 + ((y - 17.0) / 15.0) ** 2 + ((x - 21.0) / 12.0) ** 2
    volume = np.zeros(SHAPE, np.float32)
    volume[radius < 1] = CORTEX_VALUE
    volume[radius < 0.5] = INNER_VALUE
    volume[1:3, 36:41, 4:9] = CORTEX_VALUE
    return volume


def image(angles=OBLIQUE) -> sitk.Image:
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(*angles)
    result = sitk.GetImageFromArray(ellipsoids())
    result.SetSpacing(SPACING)
    result.SetOrigin(ORIGIN)
    result.SetDirection(rotation.GetMatrix())
    return result


def node(name="T2w", angles=OBLIQUE):
    """The phantom as a volume node. Its matrix is written here from first principles: RAS = (-x, -y, z) of LPS."""
    source = image(angles)
    matrix = np.eye(4)
    for column in range(3):
        index = [0, 0, 0]
        index[column] = 1
        step = np.subtract(source.TransformIndexToPhysicalPoint(index), source.GetOrigin())
        matrix[:3, column] = step * (-1, -1, 1)
    matrix[:3, 3] = np.array(source.GetOrigin()) * (-1, -1, 1)
    volume = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(source), matrix, name)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(230.0, 110.0)
    return volume


def transform(name="Shift", translation=(5.0, -3.0, 8.0)):
    """A linear transform node with a rotation about z and a shift."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    cosine, sine = np.cos(0.4), np.sin(0.4)
    for (row, column), value in {(0, 0): cosine, (0, 1): -sine, (1, 0): sine, (1, 1): cosine}.items():
        matrix.SetElement(row, column, value)
    for row, value in enumerate(translation):
        matrix.SetElement(row, 3, value)
    result = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    result.SetMatrixTransformToParent(matrix)
    return result


def warp(name="Warp"):
    """A transform node that bends space by some millimetres."""
    import vtk

    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    corners = [(-60, -60, -60), (60, -60, -60), (-60, 60, -60), (60, 60, 60), (0, 0, 0), (20, -20, 30)]
    for number, (x, y, z) in enumerate(corners):
        before.InsertNextPoint(x, y, z)
        after.InsertNextPoint(x + 2 * (number % 3), y - 3 * (number % 2), z + number)
    bend = vtk.vtkThinPlateSplineTransform()
    bend.SetBasisToR()
    bend.SetSourceLandmarks(before)
    bend.SetTargetLandmarks(after)
    result = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    result.SetAndObserveTransformToParent(bend)
    return result
