"""Dice, HD95, ASSD and volume bias of segmentations. Arrays are (z, y, x), spacing (x, y, z) in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import check_shapes
from .surface_distance import surface_distances


def dice(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Overlap 2 |A and B| / (|A| + |B|) of two binary segmentations (not 0 is inside).

    Returns:
        0 to 1; 1 when both are empty.

    Raises:
        ValueError: other shapes.
    """
    check_shapes(truth, estimate)
    truth, estimate = truth != 0, estimate != 0
    total = np.count_nonzero(truth) + np.count_nonzero(estimate)
    return 2 * np.count_nonzero(truth & estimate) / total if total else 1.0


def tolerant_dice(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Dice that forgives one voxel: sources draw the border of the cortex at different places.

    A voxel of one segmentation counts as found when it or a face neighbour is in the other one.

    Args:
        truth, estimate: (z, y, x), not 0 is inside.

    Returns:
        In [0, 1]; 1 when both are empty.

    Raises:
        ValueError: other shapes.
    """
    check_shapes(truth, estimate)
    first, second = truth != 0, estimate != 0
    total = int(first.sum()) + int(second.sum())
    if total == 0:
        return 1.0
    return (int((first & _dilated(second)).sum()) + int((second & _dilated(first)).sum())) / total


def _dilated(inside: np.ndarray) -> np.ndarray:
    """Inside, and every voxel that shares a face with it."""
    result = inside.copy()
    for axis in range(3):
        first, last = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
        result[first] |= inside[last]
        result[last] |= inside[first]
    return result


def volume_bias(truth: np.ndarray, estimate: np.ndarray) -> float:
    """How much larger the estimated volume is, 100 (V_estimate - V_truth) / V_truth.

    Returns:
        Percent, negative when the estimate is too small; nan when the truth is empty.

    Raises:
        ValueError: other shapes.
    """
    check_shapes(truth, estimate)
    wanted = np.count_nonzero(truth)
    return 100 * (np.count_nonzero(estimate) - wanted) / wanted if wanted else float("nan")


def hd95(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> float:
    """95th percentile Hausdorff distance: the larger of the two directions' 95th percentiles.

    Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        mm; nan when either segmentation is empty.
    """
    return _hd95(surface_distances(truth, estimate, spacing))


def assd(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> float:
    """Average symmetric surface distance: the mean over the surface voxels of both segmentations.

    Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        mm; nan when either segmentation is empty.
    """
    return _assd(surface_distances(truth, estimate, spacing))


def _hd95(distances: tuple[np.ndarray, np.ndarray]) -> float:
    if not all(d.size for d in distances):
        return float("nan")
    return float(max(np.percentile(d, 95) for d in distances))


def _assd(distances: tuple[np.ndarray, np.ndarray]) -> float:
    if not all(d.size for d in distances):
        return float("nan")
    return float(np.concatenate(distances).mean(dtype=np.float64))


def compare_segmentations(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """All measures of a binary segmentation. Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        "dice", "tolerant_dice", "hd95" (mm), "assd" (mm) and "volume_bias" (%).
    """
    distances = surface_distances(truth, estimate, spacing)
    return {
        "dice": dice(truth, estimate),
        "tolerant_dice": tolerant_dice(truth, estimate),
        "hd95": _hd95(distances),
        "assd": _assd(distances),
        "volume_bias": volume_bias(truth, estimate),
    }
