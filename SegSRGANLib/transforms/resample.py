"""Interpolation of a volume onto another grid: S-up of the paper.

A cubic B-spline interpolates exactly: first the samples become spline coefficients (a banded system, mirrored at the
borders), then the spline is evaluated at the new voxel centres. Along one axis both are one matrix, and an axis whose
voxels do not move needs none at all.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from .line_operators import spline_matrix
from .separable import apply_along, as_tensor

INTERPOLATORS = {
    "bspline": sitk.sitkBSpline,
    "linear": sitk.sitkLinear,
    "nearest": sitk.sitkNearestNeighbor,
    "gaussian": sitk.sitkGaussian,
    "lanczos": sitk.sitkLanczosWindowedSinc,
    "hamming": sitk.sitkHammingWindowedSinc,
    "cosine": sitk.sitkCosineWindowedSinc,
    "welch": sitk.sitkWelchWindowedSinc,
    "blackman": sitk.sitkBlackmanWindowedSinc,
}


def upsample(image: sitk.Image, grid: Grid, interpolator: str = "bspline") -> sitk.Image:
    """Interpolate a volume onto a grid with the same axes.

    Args:
        image: any scalar volume.
        grid: where to put the result; its axes must be the image's (see `grid.output_grid`).
        interpolator: "bspline" (cubic), or another of `INTERPOLATORS`.

    Returns:
        The interpolated volume, float32, on `grid`.

    Raises:
        ValueError: another direction, or an unknown interpolator.
    """
    if interpolator not in INTERPOLATORS:
        raise ValueError(f"Unknown interpolator {interpolator!r}; choose one of {', '.join(INTERPOLATORS)}.")
    source = Grid.of(image)
    if not source.same_direction(grid):
        raise ValueError("The output grid must have the axes of the image; resample to it with SimpleITK instead.")
    image = sitk.Cast(image, sitk.sitkFloat32)
    if interpolator != "bspline":
        return _resample(image, grid, INTERPOLATORS[interpolator])
    volume = torch.from_numpy(sitk.GetArrayFromImage(image))
    for axis, positions in enumerate(_positions(source, grid)):
        if not _is_identity(positions, source.size[axis]):
            matrix = spline_matrix(source.size[axis], positions)
            volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    return grid.image(volume.numpy())


def resample_labels(image: sitk.Image, grid: Grid) -> sitk.Image:
    """Carry a label map or mask onto any grid: the label of the nearest voxel, 0 outside.

    Returns:
        The label map on `grid`, of the input's type.
    """
    return _resample(image, grid, sitk.sitkNearestNeighbor)


def onto(image: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Cut or extend a volume to another's grid of the same spacing and near faces, so that voxels coincide."""
    return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor)


def _positions(source: Grid, grid: Grid) -> list[np.ndarray]:
    """Per axis (x, y, z), the grid's voxel centres in voxels of the source."""
    first = source.index_of(grid)
    return [first[k] + np.arange(grid.size[k]) * grid.spacing[k] / source.spacing[k] for k in range(3)]


def _is_identity(positions: np.ndarray, inputs: int) -> bool:
    return len(positions) == inputs and bool(np.allclose(positions, np.arange(inputs), rtol=0, atol=1e-6))


def _resample(image: sitk.Image, grid: Grid, interpolator: int) -> sitk.Image:
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size)
    resampler.SetOutputSpacing(grid.spacing)
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputDirection(grid.direction)
    resampler.SetInterpolator(interpolator)
    return resampler.Execute(image)
