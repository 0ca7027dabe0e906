"""Affine alignment of a brain with another, on coarse copies, and how alike they then are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid, output_grid
from ..transforms.line_operators import FWHM_PER_SIGMA

_ITERATIONS = 80
_LONGEST_STEP, _SHORTEST_STEP = 1.0, 1e-3  # of the optimizer, mm


@dataclass(frozen=True)
class Alignment:
    """transform: from points of the fixed volume to points of the moving one. correlation: of both, at most 1."""

    transform: sitk.AffineTransform
    correlation: float


def align(fixed: sitk.Image, moving: sitk.Image) -> Alignment:
    """Find the affine transform under which two skull-stripped brains correlate best.

    It starts where the centres of intensity coincide and the volumes of both brains are equal; the axes of both must
    have about the same anatomical meaning. Ten weeks of growth double a brain's volume, so the start decides.

    Args:
        fixed: coarse volume (about 3 mm), 0 outside the brain.
        moving: the same of the atlas.

    Raises:
        ValueError: one of them is black, or the optimizer finds no overlap.
    """
    registration = sitk.ImageRegistrationMethod()
    registration.SetMetricAsCorrelation()
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(_LONGEST_STEP, _SHORTEST_STEP, _ITERATIONS)
    registration.SetOptimizerScalesFromPhysicalShift()
    try:
        registration.SetInitialTransform(_start(fixed, moving), inPlace=False)
        found = registration.Execute(fixed, moving)
    except RuntimeError as error:
        raise ValueError("An atlas cannot be aligned with the volume; check the volume's brain mask.") from error
    return Alignment(_as_affine(found), -registration.GetMetricValue())


def coarsened(image: sitk.Image, spacing: float) -> sitk.Image:
    """A volume with isotropic voxels, after a Gaussian blur of their size; axes that are coarser stay as they are.

    Args:
        image: float32 volume.
        spacing: of the result, mm.
    """
    grid = output_grid(Grid.of(image), [max(spacing, own) for own in image.GetSpacing()])
    return resampled(blurred(image, spacing), grid, sitk.Transform())


def resampled(
    image: sitk.Image, grid: Grid, transform: sitk.Transform, interpolator: int = sitk.sitkLinear, outside: float = 0.0
) -> sitk.Image:
    """Carry a volume through a transform, from points of `grid` to points of the volume."""
    return sitk.Resample(image, grid.size, transform, interpolator, grid.origin, grid.spacing, grid.direction, outside)


def blurred(image: sitk.Image, width: float) -> sitk.Image:
    """Gaussian blur with a full width at half maximum of `width` mm along the axes that are finer than that."""
    for axis, own in enumerate(image.GetSpacing()):
        if width > 1.01 * own and image.GetSize()[axis] >= 4:  # the recursive filter needs four voxels
            image = sitk.RecursiveGaussian(image, width / FWHM_PER_SIGMA, direction=axis)
    return image


def _start(fixed: sitk.Image, moving: sitk.Image) -> sitk.AffineTransform:
    centred = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    start = _as_affine(centred)
    scale = (_volume(moving) / _volume(fixed)) ** (1 / 3)
    start.SetMatrix((scale * np.eye(3)).ravel().tolist())
    return start


def _volume(brain: sitk.Image) -> float:
    """mm^3 of what is not background."""
    values = sitk.GetArrayViewFromImage(brain)
    return float(np.count_nonzero(values > 0.1 * values.max()) * np.prod(brain.GetSpacing()))


def _as_affine(transform: sitk.Transform) -> sitk.AffineTransform:
    """The affine transform in what SimpleITK returns, which may be wrapped."""
    while transform.GetName() == "CompositeTransform":
        transform = sitk.CompositeTransform(transform).GetNthTransform(0)
    return sitk.AffineTransform(transform)
