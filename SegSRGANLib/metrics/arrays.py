"""What the measures ask of their arrays."""

from __future__ import annotations

import numpy as np


def check_shapes(*arrays: np.ndarray | None) -> None:
    """Compare the shapes of all arrays that are given.

    Raises:
        ValueError: they differ.
    """
    shapes = [array.shape for array in arrays if array is not None]
    if len(set(shapes)) > 1:
        raise ValueError(f"Arrays of one shape are needed, not {' and '.join(map(str, shapes))}.")


def inside_of(mask: np.ndarray) -> np.ndarray:
    """Where a mask is not 0.

    Raises:
        ValueError: nowhere.
    """
    inside = mask != 0
    if not inside.any():
        raise ValueError("The mask is empty; without a single voxel there is nothing to measure.")
    return inside
