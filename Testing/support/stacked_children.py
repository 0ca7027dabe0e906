"""Children with known folds, and stacks of them that a scanner could have made: shared by the tests of `stacks`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.transforms.acquisition import acquire

SIDE = 48


def child(seed: int, spacing: float = 1.0) -> tuple[sitk.Image, sitk.Image]:
    """A brain of 40 x 44 x 36 mm with random folds, and its mask."""
    places = (np.indices((SIDE,) * 3) - (SIDE - 1) / 2) / np.array([18, 22, 20]).reshape(3, 1, 1, 1)
    inside = (places**2).sum(axis=0) < 1
    folds = sitk.GetImageFromArray(np.random.default_rng(seed).standard_normal(inside.shape).astype(np.float32))
    folds = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(folds, 1.8))
    values = np.where(inside, 100 + 25 * folds / folds.std(), 0).clip(0).astype(np.float32)
    grid = Grid((SIDE,) * 3, (spacing,) * 3, (-25.0, -30.0, 10.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    return grid.image(values), grid.image(inside.astype(np.uint8))


def rigid(
    degrees: tuple[float, float, float] = (0, 0, 0), mm: tuple[float, float, float] = (0, 0, 0)
) -> sitk.Euler3DTransform:
    """A motion about the middle of the child, from its rest to a stack."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter((-25.0 + SIDE / 2, -30.0 + SIDE / 2, 10.0 + SIDE / 2))
    transform.SetRotation(*np.radians(degrees).tolist())
    transform.SetTranslation(mm)
    return transform


@dataclass(frozen=True)
class Taken:
    """How a stack is taken. axis: of the slices. motion: of the child. noise: standard deviation."""

    axis: int
    motion: sitk.Transform = rigid()
    factor: int = 3
    noise: float = 0.0


def stack(brain: tuple[sitk.Image, sitk.Image], taken: Taken) -> tuple[sitk.Image, sitk.Image]:
    """Thick slices of a moved child, and the mask on their grid."""
    image, mask = brain
    back = taken.motion.GetInverse()
    moved = sitk.Resample(image, image, back, sitk.sitkBSpline)
    spacing = list(image.GetSpacing())
    spacing[taken.axis] *= taken.factor
    scan = acquire(moved, spacing, noise=taken.noise)
    return scan, sitk.Resample(mask, scan, back, sitk.sitkNearestNeighbor)
