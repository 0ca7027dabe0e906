"""Whether the slices of a scan are in their order: would they change more smoothly if two of them changed places?"""

from __future__ import annotations

import numpy as np

_REACH = 8  # slices apart; farther ones are not exchanged by sorting mistakes


def best_exchange(stack: np.ndarray, inside: np.ndarray) -> tuple[float, int, int]:
    """The exchange of two slices that makes the scan smoothest.

    Roughness is the sum of squared differences of each slice from the mean of its neighbours. In the true order each
    exchange makes it greater.

    Args:
        stack: (slices, y, x) float32 intensities, at least four slices. inside: bool, where the brain is.

    Returns:
        The logarithm by which the exchange lowers the roughness around both slices (negative: it raises it), and both
        slices, counted from 0.
    """
    brain = inside.any(axis=0)
    flat = (stack * inside)[:, brain].astype(np.float64)
    products = flat @ flat.T

    def roughness(order: np.ndarray, around: list[int]) -> float:
        before, here, after = order[np.array(around) - 1], order[around], order[np.array(around) + 1]
        mean = (products[before, before] + products[after, after] + 2 * products[before, after]) / 4
        return float(np.sum(products[here, here] + mean - products[here, before] - products[here, after]))

    count = len(stack)
    best = (-np.inf, 0, 0)
    for first in range(1, count - 2):
        for second in range(first + 1, min(count - 1, first + _REACH + 1)):
            order = np.arange(count)
            around = sorted({k for m in (first, second) for k in (m - 1, m, m + 1) if 1 <= k < count - 1})
            usual = roughness(order, around)
            order[[first, second]] = second, first
            gain = 0.5 * np.log(max(usual, 1e-12) / max(roughness(order, around), 1e-12))
            best = max(best, (float(gain), first, second))
    return best
