"""Which slices of a stack to trust: a child that moves during a stack leaves slices that fit no other stack.

A slice is compared with what the other stacks predict for it. Their detail is blurred along their own slices, so both
are averaged within the slice before; what remains is motion, lost signal and noise. A slice that differs much more than
the others of its stack loses its weight (Tukey's biweight on a logarithmic scale).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..data.grid import Grid
from ..transforms.data_consistency import DEVIATIONS_PER_MAD
from ..transforms.line_operators import sampling_matrix
from ..transforms.separable import apply_along, as_tensor

_CERTAIN, _LOST = 2.5, 6.0  # robust standard deviations up to which a slice is trusted, and from which not at all
_LEAST_DEVIATION = 0.2  # of the logarithm: avoids false alarms when all slices agree equally well
_LEAST_AREA = 0.1  # of the largest cross-section; smaller ones are judged by their neighbours
LEFT_OUT = 0.5  # a slice with less weight counts as left out


def slice_axis(grid: Grid) -> int:
    """The axis (x, y, z) across the slices."""
    return int(np.argmax(grid.spacing))


def slice_weights(difference: np.ndarray, inside: np.ndarray, grid: Grid, fwhm: float) -> np.ndarray:
    """The weight of each slice.

    Args:
        difference: (z, y, x), stack minus what the others predict for it. inside: bool, where to compare.
        grid: of the stack. fwhm: window within the slices, mm.

    Returns:
        (slices,) float, 0 to 1.
    """
    axis = slice_axis(grid)
    smooth = _averaged(difference, inside, grid, axis, fwhm)
    others = tuple({0, 1, 2} - {2 - axis})
    area = inside.sum(axis=others)
    power = np.where(inside, smooth, 0).astype(np.float64) ** 2
    power = power.sum(axis=others) / np.maximum(area, 1)
    judged = np.flatnonzero((area > _LEAST_AREA * area.max()) & (power > 0))
    weights = np.ones(len(area))
    if len(judged) < 4:
        return weights
    # Differences grow and fall smoothly through the brain; a slice that moved sticks out
    logarithm = np.log(power[judged]) / 2
    usual = np.median(logarithm)
    deviation = max(DEVIATIONS_PER_MAD * float(np.median(np.abs(logarithm - usual))), _LEAST_DEVIATION)
    z = (logarithm - usual) / deviation
    weights[judged] = _biweight(z)
    for index in np.flatnonzero(area <= _LEAST_AREA * area.max()):  # too little brain to judge
        weights[index] = weights[judged[np.argmin(np.abs(judged - index))]]
    return weights


def as_volume(weights: Sequence[float] | np.ndarray, grid: Grid) -> np.ndarray:
    """Slice weights as an array that broadcasts over the stack's (z, y, x)."""
    shape = [1, 1, 1]
    shape[2 - slice_axis(grid)] = -1
    return np.asarray(weights, np.float32).reshape(shape)


def _biweight(z: np.ndarray) -> np.ndarray:
    share = np.clip((z - _CERTAIN) / (_LOST - _CERTAIN), 0, 1)
    return (1 - share**2) ** 2


def _averaged(values: np.ndarray, inside: np.ndarray, grid: Grid, axis: int, fwhm: float) -> np.ndarray:
    """Mean over a Gaussian window within the slices, of what lies inside."""
    pair = [torch.from_numpy(a.astype(np.float32)) for a in (np.where(inside, values, 0), inside)]
    for other in {0, 1, 2} - {axis}:
        n = grid.size[other]
        matrix = sampling_matrix(n, n, 1.0, max(fwhm / grid.spacing[other], 0.1))
        pair = [apply_along(a, as_tensor(matrix, a), 2 - other) for a in pair]
    return (pair[0] / pair[1].clamp(min=1e-3)).numpy()
