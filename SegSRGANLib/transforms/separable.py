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
    """A float64 matrix as a tensor of the device and precision of `like`."""
    return torch.from_numpy(matrix).to(like)
