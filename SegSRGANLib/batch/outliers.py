"""Values that stand apart from the others of a cohort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_VOLUMES = 5  # fewer do not say what is usual
_FAR = 3.5  # robust standard deviations
_DEVIATIONS_PER_MAD = 1.4826


def outliers_of(values: Sequence[float | None], trifle: float = 0.0, sides: int = 0) -> set[int]:
    """Which values lie far from the median: more than 3.5 robust standard deviations, and more than a trifle.

    Args:
        values: of a cohort; None where there is none. trifle: a distance that never counts.
        sides: -1, only low values count; 1, only high ones; 0, both.

    Returns:
        Their indices; none where there are fewer than five values.
    """
    known = np.array([np.nan if value is None else float(value) for value in values], float)
    if np.isfinite(known).sum() < LEAST_VOLUMES:
        return set()
    distance = known - np.nanmedian(known)
    deviation = _DEVIATIONS_PER_MAD * float(np.nanmedian(np.abs(distance)))
    distance = np.abs(distance) if sides == 0 else sides * distance
    return {int(k) for k in np.flatnonzero((distance > _FAR * deviation) & (distance > trifle))}
