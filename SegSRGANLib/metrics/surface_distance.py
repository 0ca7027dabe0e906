"""Distances between the surfaces of two segmentations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..transforms.components import bounding_box


def surface_distances(
    truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """From each surface voxel of one segmentation to the nearest surface voxel of the other, centre to centre.

    A surface voxel is inside and shares a face with the outside or with the volume's border.

    Args:
        truth: binary segmentation (z, y, x), not 0 is inside.
        estimate: the same shape.
        spacing: mm, (x, y, z).

    Returns:
        Distances in mm from the truth's surface and from the estimate's; both empty when a segmentation is empty.

    Raises:
        ValueError: other shapes, or a spacing that is not three positive numbers.
    """
    if truth.shape != estimate.shape:
        raise ValueError(f"Segmentations of one shape are needed, not {truth.shape} and {estimate.shape}.")
    if len(spacing) != 3 or not all(0 < s < np.inf for s in spacing):
        raise ValueError(f"The spacing must be three positive numbers in mm, not {tuple(spacing)}.")
    truth, estimate = truth != 0, estimate != 0
    if not truth.any() or not estimate.any():
        return np.empty(0, np.float32), np.empty(0, np.float32)
    box = bounding_box(truth | estimate)
    surfaces = [_surface(np.pad(segmentation[box], 1)) for segmentation in (truth, estimate)]
    to_truth, to_estimate = (_distance_map(surface, spacing) for surface in surfaces)
    return to_estimate[surfaces[0]], to_truth[surfaces[1]]


def _surface(inside: np.ndarray) -> np.ndarray:
    """Voxels that erosion by the 6-neighbourhood removes; the array's border voxels must be outside."""
    interior = inside.copy()
    for axis in range(3):
        for step in (-1, 1):
            interior &= np.roll(inside, step, axis)  # wraps around onto the border, which is outside
    return inside & ~interior


def _distance_map(surface: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    image = sitk.GetImageFromArray(surface.astype(np.uint8))
    image.SetSpacing(tuple(map(float, spacing)))
    distance = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayViewFromImage(distance))
