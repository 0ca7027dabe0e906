"""Which tissues lie side by side in a label map."""

from __future__ import annotations

import numpy as np

_BORDERING = 0.05  # of the smaller surface: fewer common faces are errors of the labels


def distances_between(labels: np.ndarray, tissues: np.ndarray) -> np.ndarray:
    """How far two tissues are from each other: 0 the same, 1 neighbours, 2 never side by side.

    Args:
        labels: (z, y, x), or several maps (map, z, y, x), not negative. tissues: the labels to compare; others count
            as the first of them.

    Returns:
        Matrix (tissues, tissues) of integers, symmetric.
    """
    count = len(tissues)
    numbers = np.zeros(max(int(labels.max(initial=0)), int(np.max(tissues))) + 1, np.uint16)
    numbers[tissues] = np.arange(count)
    index = numbers[labels]
    faces = np.zeros((count, count))
    for axis in (-3, -2, -1):
        low, high = np.moveaxis(index, axis, 0)[:-1], np.moveaxis(index, axis, 0)[1:]
        changes = low != high
        pairs = low[changes].astype(np.int64) * count + high[changes]
        faces += np.bincount(pairs, minlength=count * count).reshape(count, count)
    faces += faces.T
    surface = np.minimum.outer(faces.sum(0), faces.sum(0)).clip(1)
    distance = np.where(faces / surface > _BORDERING, 1, 2)
    np.fill_diagonal(distance, 0)
    return distance
