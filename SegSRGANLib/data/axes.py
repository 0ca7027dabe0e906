"""Axes of a volume in space: how far they are from being perpendicular, and how far two affines disagree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..utils.errors import VolumeError

# Scalar product of two axes that is still rounding: some headers have three decimals. Made perpendicular, the ends of
# axes of 150 mm move by 0.07 mm at most.
_MAX_SKEW = 1e-3
_EXACT = 1e-9  # axes this close to perpendicular stay as they are, so that files survive a round trip bit for bit


def orthonormal_axes(axes: np.ndarray, name: str) -> np.ndarray:
    """The nearest perpendicular unit axes to a 3 x 3 matrix of unit columns (rounded headers are a little off).

    Args:
        axes: (3, 3), column k is the direction of voxel axis k.
        name: the file, for the message.

    Raises:
        VolumeError: the axes are not finite, not of unit length or not perpendicular (a sheared volume).
    """
    skew = np.abs(axes.T @ axes - np.eye(3)).max() if np.abs(axes).max() < 2 else np.nan  # wild numbers overflow
    if not skew <= _MAX_SKEW:
        raise VolumeError(
            f"{name} has voxel axes that are not perpendicular (a product of {skew:.2g} instead of 0): "
            "resample it onto a rectangular grid first."
        )
    if skew <= _EXACT:
        return axes
    left, _, right = np.linalg.svd(axes)
    return left @ right


def corner_distance(affine: np.ndarray, other: np.ndarray, size: Sequence[int]) -> float:
    """The largest distance, in mm, between the places that two 4 x 4 affines give to a corner voxel of the volume."""
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in size))], float)
    return float(np.linalg.norm(corners @ (affine - other).T, axis=1).max())
