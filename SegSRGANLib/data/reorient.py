"""The order and sense of axes in which networks see a brain.

Scanners store axial, coronal and sagittal slices with their own first, second and third axis. Networks always see
array axes (z, y, x) that point towards superior, posterior and left, as nearly as swapping and reversing allows: no
voxel is interpolated, and a volume gives the same result however its axes are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch

from ..utils.triples import triple
from .grid import Grid


@dataclass(frozen=True)
class CanonicalAxes:
    """How to bring an array (z, y, x) into canonical order: take its axes in this order, then reverse some.

    order: of the original array's axes. reversed_axes: of the canonical array.
    """

    order: tuple[int, int, int]
    reversed_axes: tuple[int, ...]

    @classmethod
    def of(cls, grid: Grid) -> CanonicalAxes:
        """The axes of a grid; the assignment of its axes to left, posterior and superior with the best agreement."""
        cosines = np.array(grid.direction).reshape(3, 3)  # rows L, P, S; columns x, y, z
        best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[row, axes[row]]) for row in range(3)))
        order = triple(2 - best[row] for row in (2, 1, 0))
        backwards = tuple(2 - row for row in (2, 1, 0) if cosines[row, best[row]] < 0)
        return cls(order, backwards)

    def canonical(self, volume: torch.Tensor) -> torch.Tensor:
        """A volume (z, y, x) in canonical order, contiguous."""
        return volume.permute(self.order).flip(self.reversed_axes).contiguous()

    def original(self, prediction: torch.Tensor) -> torch.Tensor:
        """A prediction (C, canonical z, y, x) in the order that the volume had, contiguous."""
        inverse = [1 + self.order.index(axis) for axis in range(3)]
        return prediction.flip([1 + axis for axis in self.reversed_axes]).permute(0, *inverse).contiguous()
