"""What perfect interpolation could give at best: a volume without what coarser voxels cannot carry."""

from __future__ import annotations

from collections.abc import Sequence

import SimpleITK as sitk
import torch

from ..data.grid import Grid
from .line_operators import band_limit_matrix
from .separable import apply_along, as_tensor


def band_limited(image: sitk.Image, spacing: Sequence[float]) -> sitk.Image:
    """Remove all that lies above the Nyquist frequency of voxels of this spacing, along each axis.

    Args:
        image: a volume.
        spacing: mm (x, y, z); an axis that is not coarser than the image's stays as it is.

    Returns:
        float32, on the image's grid.
    """
    grid = Grid.of(image)
    volume = torch.from_numpy(sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32)))
    for axis, (coarse, fine) in enumerate(zip(spacing, grid.spacing, strict=True)):
        if coarse > fine * (1 + 1e-4):
            matrix = band_limit_matrix(grid.size[axis], coarse / fine)
            volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    return grid.image(volume.numpy())
