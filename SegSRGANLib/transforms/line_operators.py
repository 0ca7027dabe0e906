"""Blurring, slice sampling, spline interpolation and their inverses along one axis of a volume, as matrices.

These are numpy alone: training on a machine without SimpleITK builds its batches of slices with the same functions as
prediction.
"""

from __future__ import annotations

import numpy as np

# Slices are thick above this multiple of the result's spacing. Below, the blur is not that of a slice: undoing it would
# add edges, and interpolation was nearer to the truth than a network (docs/evaluation.md).
THICK = 1.5
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))  # 2.3548
# Chosen on two volumes of Fidon et al. (2021) with noise of 0 to 4 %: never worse than the network alone, see docs.
_LEAST_RIDGE, _RIDGE_PER_NOISE = 0.2, 25.0


def sampling_matrix(inputs: int, outputs: int, step: float, fwhm: float) -> np.ndarray:
    """Blur by a Gaussian slice profile and sample at the slice centres, along one axis.

    With the same near face, slice i has its centre at (i + 1/2) step - 1/2 input voxels. Every row sums to one, so a
    constant stays constant up to the border.

    Args:
        inputs: number of high-resolution voxels.
        outputs: number of slices.
        step: distance between slices, in input voxels.
        fwhm: slice thickness, in input voxels.

    Returns:
        Matrix (outputs, inputs), float64.
    """
    centres = (np.arange(outputs) + 0.5) * step - 0.5
    offsets = np.arange(inputs) - centres[:, None]
    exponents = (offsets * FWHM_PER_SIGMA / fwhm) ** 2
    exponents -= exponents.min(axis=1, keepdims=True)  # of a thin slice between two voxels all weights would be zero
    weights = np.exp(-0.5 * exponents)
    return weights / weights.sum(axis=1, keepdims=True)


def spline_matrix(inputs: int, positions: np.ndarray) -> np.ndarray:
    """Cubic B-spline interpolation along one axis, with mirrored borders (as SimpleITK and scipy's "mirror").

    Args:
        inputs: number of samples, at 0, 1, ... inputs - 1.
        positions: where to evaluate, in input voxels.

    Returns:
        Matrix (positions, inputs), float64. At the samples' own positions it is the identity.
    """
    if inputs == 1:
        return np.ones((len(positions), 1))
    samples = _evaluation_matrix(inputs, np.arange(inputs, dtype=float))
    # evaluation @ inverse(samples), without the inverse
    return np.linalg.solve(samples.T, _evaluation_matrix(inputs, positions).T).T


def coefficient_matrix(inputs: int, padding: int) -> np.ndarray:
    """From samples to the coefficients of their cubic B-spline along one axis, continued by mirroring.

    Args:
        inputs: number of samples. padding: coefficients more at each end, fewer than samples.

    Returns:
        Matrix (inputs + 2 padding, inputs), float64.
    """
    if inputs == 1:
        return np.ones((1 + 2 * padding, 1))
    nodes = np.arange(-padding, inputs + padding)
    mirrored = np.abs((nodes + inputs - 1) % (2 * inputs - 2) - (inputs - 1))
    return np.linalg.inv(_evaluation_matrix(inputs, np.arange(inputs, dtype=float)))[mirrored]


def _evaluation_matrix(inputs: int, positions: np.ndarray) -> np.ndarray:
    """Values at `positions` of the cubic B-splines centred on the samples (Unser 1999, eq. 6)."""
    matrix = np.zeros((len(positions), inputs))
    first = np.floor(positions).astype(int) - 1
    for k in range(4):
        node = first + k
        distance = np.abs(positions - node)
        near = 2 / 3 - distance**2 * (2 - distance) / 2
        far = (2 - distance).clip(min=0) ** 3 / 6
        # fold the nodes outside back in: ... 2 1 [0 1 2 ... n-1] n-2 ...
        mirrored = np.abs((node + inputs - 1) % (2 * inputs - 2) - (inputs - 1))
        np.add.at(matrix, (np.arange(len(positions)), mirrored), np.where(distance < 1, near, far))
    return matrix


def damped_inverse(matrix: np.ndarray, ridge: float) -> np.ndarray:
    """M^T (M M^T + (ridge s)^2)^-1 of a matrix (m, n), as (n, m); s is its largest singular value. See `inverse`."""
    if ridge == 0:
        return np.linalg.pinv(matrix)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (right.T * (values / (values**2 + (ridge * values[0]) ** 2))) @ left.T


def damping(noise: float) -> float:
    """The ridge for a scan with noise of this standard deviation, relative to its 99.5th percentile."""
    return max(_LEAST_RIDGE, _RIDGE_PER_NOISE * noise)


def band_limit_matrix(inputs: int, factor: float) -> np.ndarray:
    """Projection of a line onto what slices `factor` voxels apart can carry: nothing above their Nyquist frequency.

    In cosines (DCT-II), so that a line is mirrored at its ends. A truth treated so is what perfect interpolation could
    give at best; what lies above it must be predicted.

    Args:
        inputs: voxels of the line. factor: distance between slices, in voxels, at least 1.

    Returns:
        Matrix (inputs, inputs), float64; symmetric, and its own square.
    """
    frequencies = np.arange(inputs)
    cosines = np.cos(np.pi * frequencies[:, None] * (np.arange(inputs) + 0.5) / inputs)
    cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
    kept = cosines[frequencies < inputs / factor]
    return kept.T @ kept
