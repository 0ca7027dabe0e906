"""Linear operators that act along one axis of a volume, as matrices.

Blurring, slice sampling and spline interpolation are all separable: each is one small matrix (outputs x inputs)
per axis. One matrix product per axis runs at the speed of the machine's matrix library, on the CPU and on the
GPU, it can be differentiated, and its transpose is the exact adjoint.
"""

from __future__ import annotations

import numpy as np
import torch


def apply_along(volume: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply a volume by a matrix along one axis.

    Args:
        volume: (z, y, x).
        matrix: (outputs, inputs), inputs being the volume's length along `axis`.
        axis: 0, 1 or 2 of the array, that is z, y or x.

    Returns:
        The volume with `outputs` entries along `axis`.
    """
    depth, height, width = volume.shape
    if axis == 0:
        return (matrix @ volume.reshape(depth, height * width)).reshape(-1, height, width)
    if axis == 1:
        return matrix @ volume
    return (volume.reshape(depth * height, width) @ matrix.T).reshape(depth, height, -1)


def as_tensor(matrix: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """A float64 matrix as a tensor of the device and precision of `like`.

    The tails of splines and Gaussians fall to numbers that no sum can notice. In float32 they would be denormal, and
    processors compute those 5 to 25 times as slowly: entries below eps^3 of the largest one become 0.
    """
    least = torch.finfo(like.dtype).eps ** 3 * float(np.abs(matrix).max(initial=0.0))
    return torch.from_numpy(np.where(np.abs(matrix) < least, 0.0, matrix)).to(like)


def tent_matrix(inputs: int, outputs: int, spacing: float, wanted: float, width: float) -> np.ndarray:
    """Resampling along one axis with the near faces in common: a weighted mean of the samples near each output.

    The weight of an input falls linearly to 0 at a distance of `width`: linear interpolation when that is the
    inputs' spacing, and averaging when it is more. Outputs beyond the outermost inputs take their values.

    Args:
        inputs, outputs: number of samples.
        spacing, wanted: of the inputs and outputs, mm.
        width: mm, at least the inputs' spacing.

    Returns:
        Matrix (outputs, inputs), float64; rows sum to 1.
    """
    centres = (np.arange(inputs) + 0.5) * spacing
    at = np.clip((np.arange(outputs) + 0.5) * wanted, centres[0], centres[-1])
    weights = np.clip(1 - np.abs(at[:, None] - centres) / width, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)
