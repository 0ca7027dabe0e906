"""A smooth intensity field as a polynomial, fitted to what a segmentation expects."""

from __future__ import annotations

import numpy as np

_SAMPLES = 40000  # voxels are enough for a few dozen coefficients


def fit_bias(image: np.ndarray, expected: np.ndarray, weights: np.ndarray, degree: int) -> np.ndarray:
    """Find b, a polynomial of the position, that minimizes sum_i weights_i (image_i - b_i expected_i)^2.

    Args:
        image, expected, weights: (z, y, x); voxels of weight 0 do not count.
        degree: of the polynomial; 0 gives ones.

    Returns:
        b, float32 (z, y, x), with mean 1 where the weights are positive, and not below 0.2.
    """
    if degree == 0:
        return np.ones(image.shape, np.float32)
    powers = [(k, j, i) for k in range(degree + 1) for j in range(degree + 1 - k) for i in range(degree + 1 - k - j)]
    axes = [np.linspace(-1, 1, n)[:, None] ** np.arange(degree + 1) for n in image.shape]
    where = np.flatnonzero(weights.ravel() > 0)
    where = where[:: max(1, len(where) // _SAMPLES)]
    z, y, x = np.unravel_index(where, image.shape)
    root = np.sqrt(weights.ravel()[where].astype(np.float64))
    values = root * expected.ravel()[where]
    columns = np.stack([axes[0][z, k] * axes[1][y, j] * axes[2][x, i] * values for k, j, i in powers], 1)
    found = np.linalg.lstsq(columns, root * image.ravel()[where], rcond=1e-8)[0]
    tensor = np.zeros((degree + 1,) * 3)
    for (k, j, i), coefficient in zip(powers, found, strict=True):
        tensor[k, j, i] = coefficient
    field = np.einsum("kji,zk,yj,xi->zyx", tensor, *axes, optimize=True)
    return (field / field.ravel()[where].mean()).clip(0.2).astype(np.float32)
