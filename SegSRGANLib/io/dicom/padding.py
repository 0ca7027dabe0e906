"""Pixels that a scanner marks as padding: they fill the picture where nothing was measured, often with the largest."""

from __future__ import annotations

import numpy as np

from .integrity import Elements

_PADDING, _LIMIT = (0x0028, 0x0120), (0x0028, 0x0121)
_SIGNED, _BITS = (0x0028, 0x0103), (0x0028, 0x0100)


def padding_range(elements: Elements) -> tuple[int, int] | None:
    """The stored numbers, from and to, that are padding (PS3.3, C.7.5.1.1.2); None where none are."""
    first = elements.short(_PADDING)
    last = elements.short(_LIMIT)
    if first is None or elements.short(_BITS) not in (8, 16):
        return None
    numbers = [first if last is None else last, first]
    if elements.short(_SIGNED) == 1:
        numbers = [number - (number >> 15 << 16) for number in numbers]
    return min(numbers), max(numbers)


def is_padding(values: np.ndarray, stored: tuple[int, int], slope: float, intercept: float) -> np.ndarray:
    """Which intensities, float32, are those of padding.

    Args:
        values: rescaled. stored: see `padding_range`. slope, intercept: of the rescaling.
    """
    low, high = sorted(slope * number + intercept for number in stored)
    rounding = 1e-6 * max(abs(low), abs(high), abs(intercept))
    return (values >= low - rounding) & (values <= high + rounding)
