"""Awkward voxel grids and a blob to find again: shared by the tests of geometry."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid


def oblique_direction(angles: tuple[float, float, float] = (0.3, -0.2, 0.5)) -> np.ndarray:
    """Direction cosines of a slice plane tilted about all three axes."""
    rotation = np.eye(3)
    for (i, j), angle in zip(((0, 1), (0, 2), (1, 2)), angles, strict=True):
        step = np.eye(3)
        step[[i, j], [i, j]] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        rotation = step @ rotation
    return rotation


def awkward_grids() -> dict[str, Grid]:
    """Grids as scanners and conversions make them: oblique, left-handed, permuted, odd sizes, odd spacings."""
    oblique = oblique_direction()
    left_handed = oblique * np.array([1, 1, -1])
    permuted = oblique[:, [2, 0, 1]]
    identity = np.eye(3)
    return {
        "canonical": _grid((52, 50, 11), (0.45, 0.45, 3.0), identity),
        "oblique": _grid((51, 53, 13), (0.446, 0.446, 3.0), oblique),
        "left-handed": _grid((47, 42, 12), (0.5, 0.6, 2.2), left_handed),
        "permuted": _grid((12, 47, 44), (2.7, 0.5, 0.55), permuted),
    }


def _grid(size: tuple[int, int, int], spacing: tuple[float, float, float], direction: np.ndarray) -> Grid:
    return Grid(size, spacing, (-21.5, 13.25, 40.125), tuple(direction.ravel()))


def blob(grid: Grid, sigma: float, offset: tuple[float, float, float] = (0.6, -0.4, 0.3)) -> sitk.Image:
    """A Gaussian blob of `sigma` mm, `offset` mm beside the middle of the grid's field of view."""
    centre = physical_centre(grid) + np.array(offset)
    distances = np.linalg.norm(positions(grid) - centre, axis=-1)
    return grid.image(np.exp(-0.5 * (distances / sigma) ** 2).astype(np.float32))


def physical_centre(grid: Grid) -> np.ndarray:
    """LPS position of the middle of the field of view."""
    axes = np.array(grid.direction).reshape(3, 3)
    return np.array(grid.origin) + axes @ ((np.array(grid.size) - 1) / 2 * np.array(grid.spacing))


def positions(grid: Grid) -> np.ndarray:
    """LPS position of every voxel centre, (z, y, x, 3)."""
    axes = np.array(grid.direction).reshape(3, 3)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)[..., ::-1]
    return np.array(grid.origin) + (index * np.array(grid.spacing)) @ axes.T


def centroid(image: sitk.Image) -> np.ndarray:
    """LPS position of an image's centre of mass."""
    weights = sitk.GetArrayFromImage(image).astype(float)
    return (positions(Grid.of(image)) * weights[..., None]).sum(axis=(0, 1, 2)) / weights.sum()
