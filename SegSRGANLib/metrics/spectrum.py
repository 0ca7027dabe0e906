"""Sharpness: how much of the truth's energy an image holds at each spatial frequency. Arrays are (z, y, x)."""

from __future__ import annotations

import numpy as np

from .arrays import check_shapes, inside_of

BANDS = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5))  # cycles a voxel


def energy_ratios(
    reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray, axis: int = 0
) -> dict[tuple[float, float], float]:
    """Energy of the estimate over the energy of the truth in each band of frequency along one axis.

    Both volumes lose their mean inside the mask and become 0 outside of it, so that the brain's own border adds the
    same to both.

    Args:
        reference: the truth, (z, y, x).
        estimate: the same shape.
        mask: where the brain is, the same shape, not 0 inside.
        axis: of the array, along which frequencies are counted: that of the thick slices.

    Returns:
        For each of `BANDS`, in cycles a voxel: 1 is as sharp as the truth, below 1 too smooth.

    Raises:
        ValueError: other shapes, an empty mask, or a truth without any energy in a band.
    """
    check_shapes(reference, estimate, mask)
    inside = inside_of(mask)
    truth, found = (_band_energies(np.where(inside, v - v[inside].mean(), 0.0), axis) for v in (reference, estimate))
    if not all(truth.values()):
        raise ValueError("The true volume is constant or too short along the axis: it has no energy in some bands.")
    return {band: found[band] / truth[band] for band in BANDS}


def _band_energies(volume: np.ndarray, axis: int) -> dict[tuple[float, float], float]:
    """Sum of |F|^2 over all lines along the axis, by band."""
    energy = np.abs(np.fft.rfft(volume, axis=axis)) ** 2
    energy = energy.sum(axis=tuple(k for k in range(3) if k != axis))
    frequency = np.fft.rfftfreq(volume.shape[axis])
    return {(low, high): float(energy[(frequency > low) & (frequency <= high)].sum()) for low, high in BANDS}
