"""PSNR and SSIM of intensities. Arrays are (z, y, x)."""

from __future__ import annotations

import numpy as np
import torch

from ..transforms.separable import apply_along
from .arrays import check_shapes, inside_of

_SIGMA = 1.5  # voxels; Wang et al. (2004), as is K1, K2
_RADIUS = 5  # voxels; 3.5 sigma, so an 11-voxel window
_K1, _K2 = 0.01, 0.03
_SLAB = 24  # slices at a time, which bounds the memory of SSIM


def psnr(reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None = None, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / mean squared error).

    Args:
        reference: the truth, (z, y, x).
        estimate: the same shape.
        mask: only where it is not 0; None for the whole volume.
        data_range: largest possible difference of intensity.

    Returns:
        Decibels; infinite when both are equal.

    Raises:
        ValueError: other shapes, or an empty mask.
    """
    check_shapes(reference, estimate, mask)
    if mask is not None:
        inside = inside_of(mask)
        reference, estimate = reference[inside], estimate[inside]
    difference = np.subtract(reference, estimate, dtype=np.float32 if reference.dtype == np.float32 else np.float64)
    error = float(np.mean(np.square(difference, out=difference), dtype=np.float64))
    return float("inf") if error == 0 else float(10 * np.log10(data_range**2 / error))


def ssim(reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None = None, data_range: float = 1.0) -> float:
    """Mean structural similarity (Wang et al. 2004) with a 3D Gaussian window.

    The same value as scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`:
    over the whole volume, the 5 voxels next to its border do not count. In a mask all its voxels count.

    Args:
        reference: the truth, (z, y, x), at least 11 voxels along each axis.
        estimate: the same shape.
        mask: only where it is not 0; None for the whole volume.
        data_range: largest possible difference of intensity.

    Returns:
        Similarity, 1 when both are equal.

    Raises:
        ValueError: other shapes, a volume smaller than the window, or an empty mask.
    """
    return mean_ssim(ssim_map(reference, estimate, data_range), mask)


def ssim_map(reference: np.ndarray, estimate: np.ndarray, data_range: float = 1.0) -> np.ndarray:
    """Structural similarity at each voxel, volume borders mirrored. Arguments and errors as in `ssim`.

    Returns:
        float32 (z, y, x).
    """
    check_shapes(reference, estimate)
    if min(reference.shape) <= 2 * _RADIUS:
        raise ValueError(f"SSIM needs at least 11 voxels along each axis, but the volume's shape is {reference.shape}.")
    matrices = [torch.from_numpy(_gaussian_matrix(n)) for n in reference.shape]
    depth = reference.shape[0]
    result = np.empty(reference.shape, np.float32)
    for start in range(0, depth, _SLAB):
        stop = min(start + _SLAB, depth)
        rows = slice(max(start - _RADIUS, 0), min(stop + _RADIUS, depth))
        window = [matrices[0][start:stop, rows], *matrices[1:]]
        pair = (torch.from_numpy(volume[rows].astype(np.float64) / data_range) for volume in (reference, estimate))
        result[start:stop] = _similarity(*pair, window).numpy()
    return result


def _similarity(x: torch.Tensor, y: torch.Tensor, window: list[torch.Tensor]) -> torch.Tensor:
    """Equation 13 of Wang et al. (2004) with alpha = beta = gamma = 1 and data range 1."""

    def local_mean(volume: torch.Tensor) -> torch.Tensor:
        for axis, matrix in enumerate(window):
            volume = apply_along(volume, matrix, axis)
        return volume

    mean_x, mean_y = local_mean(x), local_mean(y)
    product, energy = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = local_mean(x * y) - product
    variances = local_mean(x * x + y * y) - energy
    luminance = (2 * product + _K1**2) / (energy + _K1**2)
    return luminance * (2 * covariance + _K2**2) / (variances + _K2**2)


def _gaussian_matrix(length: int) -> np.ndarray:
    """Gaussian filter along an axis as a matrix (length, length); the border mirrors: c b a | a b c."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((length, length))
    rows = np.arange(length)
    for offset, weight in zip(offsets, weights, strict=True):
        columns = rows + offset
        columns = np.where(columns < 0, -1 - columns, np.where(columns >= length, 2 * length - 1 - columns, columns))
        np.add.at(matrix, (rows, columns), weight)
    return matrix


def mean_ssim(similarity: np.ndarray, mask: np.ndarray | None) -> float:
    """The mean of `ssim_map` over the volume without its border, or over the mask. Errors as in `ssim`."""
    if mask is None:
        core = slice(_RADIUS, -_RADIUS)
        return float(similarity[core, core, core].mean(dtype=np.float64))
    check_shapes(similarity, mask)
    return float(similarity[inside_of(mask)].mean(dtype=np.float64))
