"""One stack of a child, made ready to be compared with the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid, output_grid
from ..transforms.components import bounding_box, largest_component
from ..transforms.data_consistency import FOREGROUND
from ..transforms.line_operators import FWHM_PER_SIGMA, THICK
from ..transforms.resample import resample_labels, upsample

_LEAST_SLICES = 4  # fewer cannot be filtered, nor registered


@dataclass(frozen=True)
class Scan:
    """A stack of slices.

    image: float32. mask: uint8 on its grid, 1 = brain, or the foreground where no mask was given.
    name: for messages, for instance "stack 2 (coronal.nii.gz)".
    """

    image: sitk.Image
    mask: sitk.Image
    name: str

    @classmethod
    def of(cls, image: sitk.Image, mask: sitk.Image | None, name: str) -> Scan:
        """Check a stack and its mask.

        Raises:
            ValueError: hardly any slices, no positive intensity, or an empty mask.
        """
        grid = Grid.of(image)
        if min(grid.size) < _LEAST_SLICES:
            count = "one slice" if min(grid.size) == 1 else f"{min(grid.size)} slices"
            raise ValueError(f"{name} has only {count}: leave it out, a stack needs {_LEAST_SLICES} or more.")
        image = sitk.Cast(image, sitk.sitkFloat32)
        if mask is None:
            return cls(image, _foreground(image, name), name)
        inside = sitk.Cast(mask != 0, sitk.sitkUInt8)
        inside = inside if Grid.of(mask).matches(grid) else resample_labels(inside, grid)
        if not sitk.GetArrayViewFromImage(inside).any():
            raise ValueError(f"The mask of {name} has no voxel inside it; check that it belongs to this stack.")
        return cls(image, inside, name)

    @property
    def thickness(self) -> float:
        """Of the slices, mm."""
        return max(self.image.GetSpacing())

    def cropped(self, mm: float) -> Scan:
        """What lies within some millimetres of the mask's box; slices at least as many as can be filtered."""
        spacing = self.image.GetSpacing()
        margin = [int(np.ceil(max(mm / spacing[axis], _LEAST_SLICES / 2))) for axis in (2, 1, 0)]
        box = bounding_box(sitk.GetArrayViewFromImage(self.mask) > 0, margin)
        parts = tuple(reversed(box))
        return Scan(self.image[parts], self.mask[parts], self.name)

    def blurred(self, fwhm: float, spacing: float) -> sitk.Image:
        """The stack as if it had a round point spread: equally sharp in all directions, wherever its slices lie.

        Two stacks of one child look alike only then. What the slices blurred already is not blurred again.

        Args:
            fwhm: of the point spread, mm, at least the thickness of the slices.
            spacing: of the result, mm; an axis with larger voxels is interpolated, too.
        """
        grid = Grid.of(self.image)
        # averages before it samples, along the axes that become coarser
        image = self.image
        for axis, own in enumerate(grid.spacing):
            blur = own if own > THICK * min(grid.spacing) else 0.0
            sigma = np.sqrt(max(fwhm**2 - blur**2, 0.0)) / FWHM_PER_SIGMA
            if sigma > 0.1 * own:
                image = sitk.RecursiveGaussian(
                    image, float(sigma), False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis
                )
        return upsample(image, output_grid(grid, [min(spacing, extent) for extent in grid.extent]))


def dilated(mask: sitk.Image, mm: float) -> sitk.Image:
    """A mask and what lies within some millimetres of it; a negative distance takes away as much of its rim."""
    distance = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
    return sitk.Cast(distance <= mm, sitk.sitkUInt8)


def _foreground(image: sitk.Image, name: str) -> sitk.Image:
    values = sitk.GetArrayViewFromImage(image)
    positive = values[values > 0]
    if not positive.size:
        raise ValueError(f"{name} has no positive intensity.")
    inside = values > FOREGROUND * np.percentile(positive, 99.5)
    return Grid.of(image).image(largest_component(inside))
