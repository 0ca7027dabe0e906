"""Nothing that is not finite leaves `enhance`: not as a voxel, not as a figure of the record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..utils.errors import DataError

_BRIGHT = 99.5  # percentile of the intensities that differ from zero
_MOST = 1e6  # times that: scanners store 16 bits, so no measured voxel reaches it


def check_intensities(values: np.ndarray) -> None:
    """Refuse a scan of which single voxels would drown all others in interpolation and in float32.

    Args:
        values: (z, y, x), finite.

    Raises:
        DataError: a voxel a million times as large as the bright ones.
    """
    largest = max(float(values.max()), float(values.min()), key=abs)
    sizes = np.abs(values[values != 0])
    bright = float(np.percentile(sizes, _BRIGHT)) if sizes.size else 0.0
    if bright and abs(largest) > _MOST * bright:
        raise DataError(
            f"The volume has a voxel of {largest:.3g}, where bright ones have {bright:.3g}: "
            "it is damaged there; replace what is not measured by 0 and try again."
        )


def check_finite(values: np.ndarray, what: str, scale: float) -> None:
    """Refuse what a computation made of a volume.

    Args:
        values: any shape. what: subject of the sentence. scale: intensity that the network saw as 1.

    Raises:
        DataError: a value is NaN or infinite.
    """
    # the sum is finite when all are, and needs no array of its own; it may overflow, so then each is asked
    with np.errstate(all="ignore"):
        if math.isfinite(float(np.sum(values, dtype=np.float64))):
            return
    count = int(values.size - np.count_nonzero(np.isfinite(values)))
    if count:
        raise DataError(
            f"{what} is NaN or infinite in {count} of {values.size} values: check the model's file and the volume's "
            f"intensities (the model saw {scale:.3g} as 1)."
        )


def finite_figures(value: Any) -> Any:
    """A record's value with None for every number that is not finite, as JSON knows none."""
    if isinstance(value, dict):
        return {name: finite_figures(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(finite_figures(item) for item in value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
