"""One intensity scale for all stacks: the contrast curve and the smooth field between two of them.

Scanners scale every stack by its own factor, and coils shade each in another way. Both are measured where the stacks
look alike: with one point spread, inside the brain, after registration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .agreement import Pair
from .rigid import transform_of
from .scan import Scan

_FIELD_FWHM = 30.0  # mm; coils shade smoothly
_STRONGEST_FIELD = 2.0  # more is no shading


@dataclass(frozen=True)
class IntensityMatch:
    """How a stack's intensities become the reference's: gain(place) (slope y + curvature y^2).

    slope: units of the reference per unit of the stack. curvature: of the contrast curve, per unit of the stack.
    field: float32 image on the reference's axes, 1 where there is no shading.
    """

    slope: float
    curvature: float
    field: sitk.Image

    @classmethod
    def between(cls, reference: Scan, stack: Scan, matrix: np.ndarray) -> IntensityMatch:
        """Measure the match of a registered stack.

        Args:
            matrix: 4 x 4, from LPS mm of the reference to LPS mm of the stack.
        """
        pair = Pair.of(reference, stack, matrix)
        wanted, given = (values[pair.inside].astype(np.float64) for values in (pair.reference, pair.stack))
        unit = float(np.percentile(given, 99.5))
        powers = np.stack([given / unit, (given / unit) ** 2], axis=1)
        slope, curvature = np.linalg.lstsq(powers, wanted, rcond=None)[0]
        if slope <= 0 or slope + 2 * curvature <= 0:  # would turn the contrast around: a plain factor then
            slope, curvature = float(given @ wanted / (given @ given)) * unit, 0.0
        matched = (slope * pair.stack / unit + curvature * (pair.stack / unit) ** 2).astype(np.float32)
        # the least-squares factor of each neighbourhood
        products = pair.local_mean(matched * pair.reference, _FIELD_FWHM)
        squares = pair.local_mean(matched**2, _FIELD_FWHM)
        floor = 1e-3 * float(np.mean(matched[pair.inside] ** 2))
        field = np.clip(products / np.maximum(squares, floor), 1 / _STRONGEST_FIELD, _STRONGEST_FIELD)
        return cls(float(slope / unit), float(curvature / unit**2), pair.grid.image(field.astype(np.float32)))

    def applied(self, image: sitk.Image, matrix: np.ndarray) -> sitk.Image:
        """A stack with the reference's intensities, float32.

        Args:
            matrix: as in `between`.
        """
        back = transform_of(np.linalg.inv(matrix))
        resampler = sitk.ResampleImageFilter()
        resampler.SetReferenceImage(image)
        resampler.SetTransform(back)
        resampler.SetInterpolator(sitk.sitkLinear)
        resampler.SetUseNearestNeighborExtrapolator(True)
        field = resampler.Execute(self.field)
        return field * (self.slope * image + self.curvature * image * image)
