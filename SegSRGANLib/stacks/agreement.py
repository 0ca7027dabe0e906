"""Whether two registered stacks show one child in one contrast, and if not, in words why.

Any two brains of an age look alike at first: the correlation of two children's is high once they are registered. Their
folds are not alike. So what counts is the correlation of detail: what remains inside the brain after a wide local mean
is taken away, with one point spread for both stacks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..transforms.line_operators import FWHM_PER_SIGMA
from ..utils.progress import ShouldStop
from .registration import Registration, register
from .rigid import transform_of
from .scan import Scan, dilated

_LOCAL = 4.0  # the local mean is taken over so many widths of the point spread
_RIM = 2.0  # mm inside of the mask that do not count: every brain has an outline
# Registered newborns with simulated slices of 2.6 and 5.2 mm and noise of 2 and 4 %: stacks of one child reach 0.93 and
# more, with a tenth of the slices moved; two children stay below 0.55, another contrast is negative.
_LEAST_DETAIL = 0.65
_OTHER_CONTRAST = -0.3
_SURE_DETAIL = 0.95  # below, a stack may be mirrored along any axis; above, only along the one from left to right
_MIRRORED_SHARE = 0.5  # of the difference that remains when a mirrored stack is turned around
_LEAST_OVERLAP = 0.2


@dataclass(frozen=True)
class Pair:
    """Two stacks with one point spread on one grid: arrays (z, y, x), and where both are inside the brain."""

    reference: np.ndarray
    stack: np.ndarray
    inside: np.ndarray
    fwhm: float
    grid: Grid

    @classmethod
    def of(cls, reference: Scan, stack: Scan, matrix: np.ndarray) -> Pair:
        """Bring both stacks to the reference's axes.

        Args:
            matrix: 4 x 4, from LPS mm of the reference to LPS mm of the stack.
        """
        fwhm = max(1.1 * max(reference.thickness, stack.thickness), 2.0)
        reference, transform = reference.cropped(0), transform_of(matrix)
        fixed = reference.blurred(fwhm, fwhm / 2.5)
        blurred = stack.blurred(fwhm, fwhm / 2.5)
        moved = sitk.Resample(blurred, fixed, transform, sitk.sitkLinear)
        held = sitk.Resample(blurred * 0 + 1, fixed, transform, sitk.sitkLinear)
        mask = sitk.Resample(dilated(reference.mask, -_RIM), fixed, sitk.Transform(), sitk.sitkNearestNeighbor)
        inside = (sitk.GetArrayFromImage(mask) > 0) & (sitk.GetArrayFromImage(held) > 0.999)
        return cls(*(sitk.GetArrayFromImage(i) for i in (fixed, moved)), inside, fwhm, Grid.of(fixed))

    def local_mean(self, values: np.ndarray, fwhm: float) -> np.ndarray:
        """Mean over a Gaussian window, of what lies inside."""
        weights = np.maximum(self._blurred(self.inside.astype(np.float32), fwhm), 1e-3)
        return self._blurred(np.where(self.inside, values, 0).astype(np.float32), fwhm) / weights

    def _blurred(self, values: np.ndarray, fwhm: float) -> np.ndarray:
        image = sitk.GetImageFromArray(values)
        image.SetSpacing(self.grid.spacing)
        return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, fwhm / FWHM_PER_SIGMA))

    def detail(self) -> float:
        """Correlation of the detail of both stacks, -1 to 1; 0 where nothing is inside."""
        if np.count_nonzero(self.inside) < 8:
            return 0.0
        first, second = (
            (values - self.local_mean(values, _LOCAL * self.fwhm))[self.inside].astype(np.float64)
            for values in (self.reference, self.stack)
        )
        product = np.linalg.norm(first) * np.linalg.norm(second)
        return float(first @ second / product) if product > 0 else 0.0


def check_agreement(reference: Scan, stack: Scan, registration: Registration, should_stop: ShouldStop | None) -> float:
    """Refuse a registered stack that is not of the reference's child, or not of its contrast.

    Returns:
        The correlation of detail.

    Raises:
        ValueError: in one sentence why both do not fit together.
        Cancelled: should_stop said so.
    """
    if registration.overlap < _LEAST_OVERLAP:
        raise ValueError(
            f"{stack.name} holds only {registration.overlap:.0%} of the brain in {reference.name}: too little to "
            "combine them; leave one of them out."
        )
    detail = Pair.of(reference, stack, registration.matrix).detail()
    if detail <= _OTHER_CONTRAST:
        raise ValueError(
            f"{stack.name} is dark where {reference.name} is bright (correlation of detail {detail:.2f}): combine "
            "stacks of one contrast, T2-weighted ones."
        )
    axis = _mirrored_axis(reference, stack, detail, should_stop)
    if axis is not None:
        raise ValueError(
            f"{stack.name} is mirrored along its {('first', 'second', 'third')[axis]} axis, compared with "
            f"{reference.name}: correct its orientation in the file's header, or convert it again."
        )
    if detail < _LEAST_DETAIL:
        raise ValueError(
            f"{stack.name} does not fit {reference.name} (correlation of detail {detail:.2f}, at least "
            f"{_LEAST_DETAIL} is needed): check that both are of the same child, in the same contrast."
        )
    return detail


def _mirrored_axis(reference: Scan, stack: Scan, detail: float, should_stop: ShouldStop | None) -> int | None:
    """The axis (x, y, z) along which a reversed stack fits much better; a brain's halves are so alike that a mirrored
    one fits, too."""
    sideways = int(np.argmax(np.abs(np.array(stack.image.GetDirection()).reshape(3, 3)[0])))
    axes = (sideways,) if detail >= _SURE_DETAIL else range(3)
    for axis in axes:
        image, mask = (_reversed(i, axis) for i in (stack.image, stack.mask))
        copy = Scan(image, mask, stack.name)
        try:
            matrix = register(reference, copy, should_stop, fine=False).matrix
        except ValueError:  # reversed, it lies elsewhere
            continue
        reversed_detail = Pair.of(reference, copy, matrix).detail()
        if reversed_detail >= _LEAST_DETAIL and 1 - reversed_detail < _MIRRORED_SHARE * (1 - detail):
            return axis
    return None


def _reversed(image: sitk.Image, axis: int) -> sitk.Image:
    """The voxels in reverse order along an axis, on the same grid."""
    return Grid.of(image).image(np.flip(sitk.GetArrayFromImage(image), 2 - axis).copy())
