"""Thick slices and their interpolation as one pair of matrices a patch, for whole batches on a GPU.

Along one axis the observation model (the paper's eq. 1), spline interpolation and agreement with the slices are
matrices that depend on few numbers. A bank of them is made once, with the functions that prediction uses, and each
patch draws one: so a batch of different slice thicknesses is a batched matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...transforms.line_operators import THICK, damped_inverse, damping, sampling_matrix, spline_matrix


@dataclass(frozen=True)
class SliceBank:
    """Matrices of slice acquisitions of a line of `side` voxels, and the way back.

    down: (K, side, side); slice i is row i, further rows are zero. up: (K, side, side), its columns likewise.
    noise: (K,), standard deviation of the acquisition's noise that `up` was damped for. factor: (K,), slice spacing.
    """

    down: torch.Tensor
    up: torch.Tensor
    noise: torch.Tensor
    factor: torch.Tensor


def observation_pair(side: int, factor: float, ratio: float, ridge: float | None) -> tuple[np.ndarray, np.ndarray]:
    """The acquisition of one line and the way back, (slices, side) and (side, slices), float64.

    Args:
        side: voxels of the line.
        factor: distance between slices, voxels. ratio: slice thickness over that distance.
        ridge: of the agreement with the slices, see `consistency`; None interpolates by splines alone.
    """
    slices = round(side / factor)
    down = sampling_matrix(side, slices, factor, factor * ratio)
    up = spline_matrix(slices, (np.arange(side) + 0.5) / factor - 0.5)
    if ridge is not None:
        assumed = sampling_matrix(side, slices, factor, factor)  # prediction knows nothing of gaps
        up = up + damped_inverse(assumed, ridge) @ (np.eye(slices) - assumed @ up)
    return down, up


def make_bank(
    side: int,
    draws: list[tuple[float, float, float]],
    consistent: bool,
    device: torch.device,
) -> SliceBank:
    """Build the matrices of many acquisitions.

    Args:
        side: voxels of a line.
        draws: (factor, thickness ratio, noise) of each.
        consistent: whether the way back agrees with the slices, where they are thick.
        device: where to put them.
    """
    down = torch.zeros(len(draws), side, side)
    up = torch.zeros(len(draws), side, side)
    for k, (factor, ratio, noise) in enumerate(draws):
        if factor <= 1:
            down[k] = up[k] = torch.eye(side)
            continue
        ridge = damping(noise) if consistent and factor > THICK else None
        seen, back = observation_pair(side, factor, ratio, ridge)
        down[k, : len(seen)] = torch.from_numpy(seen)
        up[k, :, : len(seen)] = torch.from_numpy(back)
    columns = [torch.tensor(column, dtype=torch.float32) for column in zip(*draws, strict=True)]
    return SliceBank(down.to(device), up.to(device), columns[2].to(device), columns[0].to(device))


def along(volumes: torch.Tensor, matrices: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply each volume of a batch by its own matrix along one axis.

    Args:
        volumes: (N, z, y, x). matrices: (N, outputs, inputs). axis: 0, 1 or 2, that is z, y or x.
    """
    n, depth, height, width = volumes.shape
    if axis == 0:
        return torch.bmm(matrices, volumes.reshape(n, depth, height * width)).reshape(n, -1, height, width)
    if axis == 1:
        wide = matrices[:, None].expand(n, depth, *matrices.shape[1:]).flatten(0, 1)
        return torch.bmm(wide, volumes.flatten(0, 1)).unflatten(0, (n, depth))
    return torch.bmm(volumes.reshape(n, depth * height, width), matrices.transpose(1, 2)).reshape(n, depth, height, -1)
