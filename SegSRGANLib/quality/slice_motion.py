"""Whether a child moved between the slices of a scan: the slices themselves tell, without a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..transforms.data_consistency import DEVIATIONS_PER_MAD

_LEAST_SLICES = 8  # fewer tell nothing of what is usual
_LEAST_AREA = 0.3  # of the largest cross-section: smaller slices change quickly by themselves
_IRREGULAR = 3.0  # robust standard deviations from which a slice does not fit its neighbours
_LEAST_DEVIATION = 0.08  # of the logarithm: avoids false alarms in very even scans


def slice_jumps(values: np.ndarray, inside: np.ndarray, axis: int) -> dict[str, Any] | None:
    """How much more the most irregular slice differs from the mean of its neighbours than slices usually do.

    Anatomy changes smoothly from slice to slice; a slice that was moved, swapped or lost differs from both neighbours.

    Args:
        values: (z, y, x) intensities. inside: bool, where the brain is. axis: array axis across the slices.

    Returns:
        "z", a robust z-score of the logarithm; "slice", counted from 0; "slices" beyond a z-score of 3, and their
        "share".
        None where there are too few slices of the brain to tell.
    """
    stack, brain = np.moveaxis(values, axis, 0).astype(np.float32), np.moveaxis(inside, axis, 0)
    areas = brain.sum(axis=(1, 2))
    middle = np.arange(1, len(stack) - 1)
    kept = middle[areas[middle] > _LEAST_AREA * areas.max()] if areas.any() else middle[:0]
    if len(kept) < _LEAST_SLICES:
        return None
    differences = [_difference(stack, brain, k) for k in kept]
    logarithm = np.log(np.maximum(differences, 1e-6))
    trend = np.array([np.median(logarithm[max(0, k - 4) : k + 5]) for k in range(len(logarithm))])
    rest = logarithm - trend
    deviation = DEVIATIONS_PER_MAD * float(np.median(np.abs(rest - np.median(rest))))
    scores = (rest - np.median(rest)) / max(deviation, _LEAST_DEVIATION)
    worst = int(np.argmax(scores))
    return {
        "z": round(float(scores[worst]), 2),
        "slice": int(kept[worst]),
        "slices": [int(k) for k in kept[scores > _IRREGULAR]],
        "share": round(float(np.mean(scores > _IRREGULAR)), 3),
    }


def _difference(stack: np.ndarray, brain: np.ndarray, k: int) -> float:
    """Root mean square difference of a slice from the mean of its neighbours, relative to its contrast."""
    common = brain[k - 1] & brain[k] & brain[k + 1]
    if not common.any():
        return 0.0
    rest = stack[k] - (stack[k - 1] + stack[k + 1]) / 2
    contrast = float(stack[k][common].std()) + 1e-6
    return float(np.sqrt(np.mean(rest[common] ** 2))) / contrast
