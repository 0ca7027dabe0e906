"""The observation model of one stack of a child that moved: Y = H B T X, and its exact transpose.

The volume X is evaluated as a cubic B-spline at the points of the stack's own grid, refined along the axes where its
voxels are coarse (T, the child's position in this stack); then the slice profile and the sampling of `acquisition`
follow along these axes (H B). For a stack that shares the volume's grid, T is the identity and this is the model that
simulation and single scans use.

Only eight trilinear look-ups make one tricubic value (Ruijters et al., Journal of Graphics Tools 13, 2008): two taps
of the spline are one linear interpolation between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from ..data.grid import Grid
from ..transforms.line_operators import THICK, coefficient_matrix, sampling_matrix
from ..transforms.separable import apply_along, as_tensor
from .rigid import affine

_PAD = 3  # coefficients around the volume, mirrored; beyond them there is nothing
_POINTS_AT_ONCE = 1 << 15  # so that the working memory stays in a processor's cache

Weights = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Spline:
    """The cubic B-spline through the voxels of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._matrices = [coefficient_matrix(n, _PAD) for n in grid.size]

    def coefficients(self, volume: torch.Tensor) -> torch.Tensor:
        """From voxels (z, y, x) to coefficients, which are continued around them."""
        return self._applied(volume, False)

    def adjoint(self, coefficients: torch.Tensor) -> torch.Tensor:
        """The transpose of `coefficients`."""
        return self._applied(coefficients, True)

    def _applied(self, volume: torch.Tensor, transposed: bool) -> torch.Tensor:
        for axis, matrix in enumerate(self._matrices):
            volume = apply_along(volume, as_tensor(_turned(matrix, transposed), volume), 2 - axis)
        return volume


class StackOperator:
    """From a volume to one moved stack, and back by the exact transpose.

    refinement: sampling points per voxel of the stack, along x, y, z.
    """

    def __init__(self, stack: Grid, volume: Grid, motion: np.ndarray, wanted: np.ndarray | None = None) -> None:
        """Prepare the matrices of one stack.

        Args:
            stack: grid of the stack. volume: of the high-resolution volume, any axes.
            motion: 4 x 4, from LPS mm of the volume to LPS mm of the stack.
            wanted: (z, y, x) bool, voxels of the stack that count; what the others get is left open. All by default.
        """
        self.stack, self.volume = stack, volume
        finest = min(volume.spacing)
        self.refinement = [int(np.ceil(s / finest - 0.01)) if s > THICK * finest else 1 for s in stack.spacing]
        self._profiles = {
            axis: sampling_matrix(n * stack.size[axis], stack.size[axis], n, n)
            for axis, n in enumerate(self.refinement)
            if n > 1
        }
        fine = np.eye(4)
        fine[:3, :3] = np.diag(1 / np.array(self.refinement))
        fine[:3, 3] = (1 / np.array(self.refinement) - 1) / 2
        self._places = (np.linalg.inv(affine(volume)) @ np.linalg.inv(motion) @ affine(stack) @ fine)[:3]
        self._fine_shape = tuple(n * r for n, r in zip(stack.shape, reversed(self.refinement), strict=True))
        self._points = None if wanted is None else torch.from_numpy(np.flatnonzero(self._refined(wanted)))
        self.spline = Spline(volume)

    def apply(self, volume: torch.Tensor) -> torch.Tensor:
        """A X: the volume's shape (z, y, x) to the stack's."""
        return self.sample(self.spline.coefficients(volume))

    def adjoint(self, stack: torch.Tensor) -> torch.Tensor:
        """A^T Y: the stack's shape (z, y, x) to the volume's."""
        return self.spline.adjoint(self.spread(stack))

    def sample(self, coefficients: torch.Tensor) -> torch.Tensor:
        """A X of a volume whose spline coefficients are known, which all stacks share."""
        fine = coefficients.new_zeros(prod(self._fine_shape))
        for part, places in self._slabs(coefficients):
            fine[part] = _evaluate(coefficients, places)
        return self._profiled(fine.reshape(self._fine_shape), False)

    def spread(self, stack: torch.Tensor) -> torch.Tensor:
        """The transpose of `sample`: the stack's shape (z, y, x) to that of the coefficients."""
        fine = self._profiled(stack, True).reshape(-1)
        coefficients = stack.new_zeros([n + 2 * _PAD for n in self.volume.shape])
        for part, places in self._slabs(stack):
            _spread(coefficients, fine[part], places)
        return coefficients

    def _refined(self, wanted: np.ndarray) -> np.ndarray:
        """The points of the refined grid that the wanted voxels see: their own and, across slices, the next ones'."""
        for axis, refinement in enumerate(self.refinement):
            if refinement > 1:
                before, after = (np.roll(wanted, shift, 2 - axis) for shift in (-1, 1))
                wanted = np.repeat(wanted | before | after, refinement, 2 - axis)
        return wanted

    def _profiled(self, volume: torch.Tensor, transposed: bool) -> torch.Tensor:
        """From the refined grid to slices, or the transpose of that."""
        for axis, matrix in self._profiles.items():
            volume = apply_along(volume, as_tensor(_turned(matrix, transposed), volume), 2 - axis)
        return volume

    def _slabs(self, like: torch.Tensor) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
        """The points of the refined grid in parts: their indices in the flat array, and their places in the padded
        coefficients, one tensor for each of z, y, x."""
        depth, height, width = self._fine_shape
        points = torch.arange(depth * height * width) if self._points is None else self._points
        for start in range(0, len(points), _POINTS_AT_ONCE):
            part = points[start : start + _POINTS_AT_ONCE].to(like.device)
            x, y, z = (n.double() for n in (part % width, (part // width) % height, part // (height * width)))
            yield (
                part,
                [(row[0] * x + row[1] * y + row[2] * z + row[3] + _PAD).to(like.dtype) for row in self._rows()],
            )

    def _rows(self) -> list[list[float]]:
        """From indices (x, y, z) of the refined grid to indices z, y, x of the volume."""
        return self._places[::-1].tolist()


def _turned(matrix: np.ndarray, transposed: bool) -> np.ndarray:
    return np.ascontiguousarray(matrix.T) if transposed else matrix


def _taps(places: torch.Tensor) -> tuple[torch.Tensor, Weights]:
    """The node below each place, and the weights of the cubic B-splines at -1, 0, 1 and 2 nodes from it."""
    below = places.floor()
    t = places - below
    u = 1 - t
    return below, (u**3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - u**2 * (2 - u) / 2, t**3 / 6)


def _evaluate(coefficients: torch.Tensor, places: list[torch.Tensor]) -> torch.Tensor:
    """The cubic B-spline at places (z, y, x) of the coefficients' grid; zero outside."""
    pairs = []
    for place, length in zip(places, coefficients.shape, strict=True):
        below, (a, b, c, d) = _taps(place)
        low, high = a + b, c + d
        # where grid_sample, with align_corners, finds the pair's weighted mean
        pairs.append(
            [
                (low, 2 * (below - 1 + b / low) / (length - 1) - 1),
                (high, 2 * (below + 1 + d / high) / (length - 1) - 1),
            ]
        )
    values = torch.zeros_like(places[0])
    for (wz, z), (wy, y), (wx, x) in product(*pairs):
        points = torch.stack([x, y, z], dim=-1)[None, None, None]
        found = F.grid_sample(coefficients[None, None], points, align_corners=True)
        values += (wz * wy * wx) * found.flatten()
    return torch.where(_covered(coefficients, places), values, 0)


def _covered(coefficients: torch.Tensor, places: list[torch.Tensor]) -> torch.Tensor:
    """Whether all taps of a place exist."""
    inside = torch.ones_like(places[0], dtype=torch.bool)
    for place, length in zip(places, coefficients.shape, strict=True):
        inside &= (place >= 1) & (place < length - 2)
    return inside


def _spread(coefficients: torch.Tensor, values: torch.Tensor, places: list[torch.Tensor]) -> None:
    """Add the transpose of `_evaluate` to the coefficients."""
    inside = _covered(coefficients, places)
    axes = [_taps(place[inside]) for place in places]
    values = values[inside]
    first, weights = [below.long() - 1 for below, _ in axes], [taps for _, taps in axes]
    _, height, width = coefficients.shape
    start, flat = (first[0] * height + first[1]) * width + first[2], coefficients.view(-1)
    for dz, dy in product(range(4), repeat=2):
        row = values * weights[0][dz] * weights[1][dy]
        for dx in range(4):
            flat.index_add_(0, start + ((dz * height + dy) * width + dx), row * weights[2][dx])
