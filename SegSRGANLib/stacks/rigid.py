"""Rigid motion between the stacks of a child, as 4 x 4 matrices in LPS millimetres."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid


def affine(grid: Grid) -> np.ndarray:
    """The 4 x 4 matrix from voxel indices (x, y, z) to LPS mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing)
    matrix[:3, 3] = grid.origin
    return matrix


def matrix_of(transform: sitk.Euler3DTransform) -> np.ndarray:
    """The 4 x 4 matrix of a rigid transform about any centre."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - matrix[:3, :3] @ centre
    return matrix


def euler_of(matrix: np.ndarray, centre: np.ndarray) -> sitk.Euler3DTransform:
    """The rigid transform of a 4 x 4 matrix, with angles about a centre (x, y, z) in LPS mm."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((matrix[:3, 3] - centre + matrix[:3, :3] @ centre).tolist())
    return transform


def transform_of(matrix: np.ndarray) -> sitk.AffineTransform:
    """A 4 x 4 matrix as SimpleITK takes it."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def moved_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where a matrix takes points (n, 3)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def rotation_degrees(matrix: np.ndarray) -> float:
    """Angle of the rotation, about whatever axis."""
    # sine and cosine together: the cosine alone cannot tell small angles
    skew = matrix[:3, :3] - matrix[:3, :3].T
    sine = np.linalg.norm([skew[2, 1], skew[0, 2], skew[1, 0]]) / 2
    return float(np.degrees(np.arctan2(sine, (np.trace(matrix[:3, :3]) - 1) / 2)))


def points_inside(mask: sitk.Image, most: int = 20_000) -> np.ndarray:
    """LPS positions (n, 3) of a mask's voxels; of a large mask every k-th, so that at most about `most` remain."""
    indices = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0)[:, ::-1]
    indices = indices[:: max(1, len(indices) // most)]
    return moved_points(affine(Grid.of(mask)), indices.astype(float))


def contained(points: np.ndarray, mask: sitk.Image) -> np.ndarray:
    """Whether points (n, 3) lie in voxels of a mask: bool (n,)."""
    grid = Grid.of(mask)
    indices = np.rint(moved_points(np.linalg.inv(affine(grid)), points)).astype(int)
    within = ((indices >= 0) & (indices < grid.size)).all(axis=1)
    result = np.zeros(len(points), bool)
    x, y, z = indices[within].T
    result[within] = sitk.GetArrayViewFromImage(mask)[z, y, x] > 0
    return result
