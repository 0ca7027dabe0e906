"""Whether a child moved between the slices of a scan: the slices themselves tell, without a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..transforms.data_consistency import DEVIATIONS_PER_MAD
from .limits import BRIGHTNESS, DISPLACEMENT, JUMP_LIMIT
from .slice_displacement import displacements
from .slice_order import best_exchange

_LEAST_SLICES = 8  # fewer tell nothing of what is usual
_LEAST_AREA = 0.3  # of the largest cross-section: smaller slices change quickly by themselves
_LEAST_DEVIATION = 0.08  # of the logarithm: avoids false alarms in very even scans


def slice_motion(values: np.ndarray, inside: np.ndarray, axis: int, spacing: Sequence[float]) -> dict[str, Any] | None:
    """Signs of motion between the slices: slices unlike their neighbours, displaced ones, and such in a wrong order.

    Args:
        values: (z, y, x) intensities. inside: bool, where the brain is. axis: array axis across the slices.
        spacing: of the voxels along (z, y, x), mm.

    Returns:
        "z", a robust z-score of how much more the most irregular slice differs from the mean of its neighbours than
        slices usually do (of the logarithm), and "slice", that one, counted from 0; "displacement_mm", of the slice
        that lies farthest off the one before by motion, not by anatomy; "brightness", the largest logarithm of a
        slice's mean over that of its neighbours. Beyond the limits (`limits.py`) "displaced" and "uneven" name these
        slices (else None), "slices" names all that are beyond one of the three, "share" is their part, and "exchange"
        names two slices that fit better in each other's place (else None).
        None where there are too few slices of the brain to tell.
    """
    stack, brain = np.moveaxis(values, axis, 0).astype(np.float32), np.moveaxis(inside, axis, 0)
    areas = brain.sum(axis=(1, 2))
    middle = np.arange(1, len(stack) - 1)
    kept = middle[areas[middle] > _LEAST_AREA * areas.max()] if areas.any() else middle[:0]
    if len(kept) < _LEAST_SLICES:
        return None
    pixel = [length for along, length in enumerate(spacing) if along != axis]
    jumps, bright = _jumps(stack, brain, kept), _brightness(stack, brain, kept)
    distance, motion = _displacements(stack, brain, kept, (pixel[0], pixel[1]))
    limits = JUMP_LIMIT, DISPLACEMENT * spacing[axis], BRIGHTNESS
    beyond = [measure > limit for measure, limit in zip((jumps, motion, np.abs(bright)), limits, strict=True)]
    irregular = np.logical_or.reduce(beyond)
    farthest, uneven = int(np.argmax(motion)), int(np.argmax(np.abs(bright)))
    return {
        "z": round(float(jumps.max()), 2),
        "slice": int(kept[np.argmax(jumps)]),
        "displacement_mm": round(float(distance[farthest]), 2),
        "displaced": int(kept[farthest]) if beyond[1].any() else None,
        "brightness": round(float(bright[uneven]), 3),
        "uneven": int(kept[uneven]) if beyond[2].any() else None,
        "slices": [int(k) for k in kept[irregular]],
        "share": round(float(np.mean(irregular)), 3),
        "exchange": _exchange(stack, brain, kept),
    }


def _displacements(
    stack: np.ndarray, brain: np.ndarray, kept: np.ndarray, pixel: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of the slices `kept` against the one before: mm, and how much of it is motion; 0 for the first."""
    part = slice(int(kept[0]), int(kept[-1]) + 1)
    distance, explained = (np.append(0.0, found) for found in displacements(stack[part], brain[part], pixel))
    return distance[kept - part.start], (distance * explained)[kept - part.start]


def _exchange(stack: np.ndarray, brain: np.ndarray, kept: np.ndarray) -> list[int] | None:
    """Two slices that fit better in each other's place."""
    start = int(kept[0]) - 1
    part = slice(start, int(kept[-1]) + 2)
    gain, one, other = best_exchange(stack[part], brain[part])
    return [start + one, start + other] if gain > 0 else None


def _jumps(stack: np.ndarray, brain: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Robust z-scores of how much each of the slices `kept` differs from the mean of its neighbours."""
    differences = [_difference(stack, brain, k) for k in kept]
    logarithm = np.log(np.maximum(differences, 1e-6))
    trend = np.array([np.median(logarithm[max(0, k - 4) : k + 5]) for k in range(len(logarithm))])
    rest = logarithm - trend
    deviation = DEVIATIONS_PER_MAD * float(np.median(np.abs(rest - np.median(rest))))
    return (rest - np.median(rest)) / max(deviation, _LEAST_DEVIATION)


def _difference(stack: np.ndarray, brain: np.ndarray, k: int) -> float:
    """Root mean square difference of a slice from the mean of its neighbours, relative to its contrast."""
    common = brain[k - 1] & brain[k] & brain[k + 1]
    if not common.any():
        return 0.0
    rest = stack[k] - (stack[k - 1] + stack[k + 1]) / 2
    contrast = float(stack[k][common].std()) + 1e-6
    return float(np.sqrt(np.mean(rest[common] ** 2))) / contrast


def _brightness(stack: np.ndarray, brain: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Logarithm of the mean of each of the slices `kept` over the geometric mean of its neighbours' means."""
    found = np.zeros(len(kept))
    for number, k in enumerate(kept):
        common = brain[k - 1] & brain[k] & brain[k + 1]
        if common.any():
            means = np.maximum([float(stack[k + step][common].mean()) for step in (-1, 0, 1)], 1e-6)
            found[number] = np.log(means[1]) - (np.log(means[0]) + np.log(means[2])) / 2
    return found
