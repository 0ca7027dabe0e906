"""The observation model of the paper's eq. 1: Y = H B X + N.

A scanner's thick slice is a weighted mean of what lies under its profile. B blurs with a Gaussian whose full width
at half maximum (FWHM) is the slice thickness, H samples at the centres of the low-resolution voxels, N is noise.
B and H are one matrix per coarsened axis. Simulation, training and quality control all use this model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid, output_grid
from .line_operators import sampling_matrix
from .resample import upsample
from .separable import apply_along, as_tensor


def acquire(
    image: sitk.Image,
    spacing: Sequence[float],
    *,
    thickness: Sequence[float] | None = None,
    noise: float = 0.0,
    seed: int = 0,
    finer: bool = False,
) -> sitk.Image:
    """Simulate the low-resolution acquisition of a high-resolution volume (eq. 1).

    Args:
        image: the high-resolution volume.
        spacing: voxel spacing (x, y, z) in mm of the acquisition; an axis that keeps its spacing is left as it is.
        thickness: slice thickness (x, y, z) in mm; by default the spacing, that is slices without gaps.
        noise: standard deviation of Gaussian noise, in units of the image.
        seed: of the noise.
        finer: whether axes may be finer than the volume's: they are interpolated (cubic spline). The paper's second
            protocol, 0.446 x 0.446 x 3 mm from 0.5 mm, needs that.

    Returns:
        The acquisition, float32, with the same field of view.

    Raises:
        ValueError: a spacing finer than the image's without `finer`, or a thickness or noise that cannot be.
    """
    fine = Grid.of(image)
    wanted = _checked_spacing(fine, spacing, finer)
    coarse = output_grid(fine, [max(pair) for pair in zip(wanted, fine.spacing, strict=True)])
    thickness = coarse.spacing if thickness is None else tuple(thickness)
    volume = torch.from_numpy(sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32)))
    for axis in range(3):
        if coarse.spacing[axis] != fine.spacing[axis]:
            if not thickness[axis] > 0:
                raise ValueError(f"The slice thickness must be positive, in mm, not {thickness[axis]}.")
            matrix = sampling_matrix(
                fine.size[axis],
                coarse.size[axis],
                coarse.spacing[axis] / fine.spacing[axis],
                thickness[axis] / fine.spacing[axis],
            )
            volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    scan = coarse.image(volume.numpy())
    scan = scan if wanted == coarse.spacing else upsample(scan, output_grid(coarse, wanted))
    return Grid.of(scan).image(_with_noise(sitk.GetArrayFromImage(scan), noise, seed))


def _checked_spacing(fine: Grid, spacing: Sequence[float], finer: bool) -> tuple[float, ...]:
    """The acquisition's spacing, taking the image's own where both agree (headers are rounded)."""
    result = []
    for axis, (wanted, own) in enumerate(zip(spacing, fine.spacing, strict=True)):
        if wanted < own * (1 - 1e-4) and not finer:
            raise ValueError(
                f"An acquisition cannot be finer than the volume: {wanted} mm was asked for along axis {axis}, "
                f"where the volume has {own:.4g} mm."
            )
        result.append(own if abs(wanted - own) <= own * 1e-4 else float(wanted))
    return tuple(result)


def _with_noise(array: np.ndarray, noise: float, seed: int) -> np.ndarray:
    if noise < 0:
        raise ValueError(f"The noise must not be negative, but it is {noise}.")
    if noise > 0:
        array = array + noise * np.random.default_rng(seed).standard_normal(array.shape, np.float32)
    return array
