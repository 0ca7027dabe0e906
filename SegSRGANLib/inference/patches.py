"""Cutting a volume into overlapping patches and putting the predictions together again.

Neighbouring patches see the same voxel with different surroundings. A smooth window gives each prediction the most
weight in its middle, and the weighted mean leaves no seams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch


@dataclass(frozen=True)
class SlidingWindowSplitter:
    """Where the patches lie in a volume.

    shape: of the volume (z, y, x), each side at least the patch's. patch: sides (z, y, x). starts: per axis, the first
    voxel of each patch; the last patch ends with the volume.
    """

    shape: tuple[int, int, int]
    patch: tuple[int, int, int]
    starts: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.starts[0]) * len(self.starts[1]) * len(self.starts[2])

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        """The patches' places, slice by slice, so that neighbours in memory come one after the other."""
        for corner in product(*self.starts):
            yield tuple(slice(start, start + side) for start, side in zip(corner, self.patch, strict=True))  # type: ignore


def sliding_windows(shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float) -> SlidingWindowSplitter:
    """Cover a volume with patches of one size, spread evenly.

    Args:
        shape: (z, y, x) of the volume.
        patch: (z, y, x) of a patch, not larger than the volume.
        overlap: share of a patch that it has, at least, in common with the next one, in [0, 0.75].

    Raises:
        ValueError: a patch that does not fit, or an overlap out of range.
    """
    if not 0 <= overlap <= 0.75:
        raise ValueError(f"The overlap of patches lies between 0 and 0.75, not at {overlap}.")
    if any(p < 1 or p > n for p, n in zip(patch, shape, strict=True)):
        raise ValueError(f"A patch of {patch} voxels does not fit into a volume of {shape}.")
    starts = tuple(_starts(n, p, overlap) for n, p in zip(shape, patch, strict=True))
    return SlidingWindowSplitter(shape, patch, starts)


def fixed_windows(shape: tuple[int, int, int], patch: tuple[int, int, int], step: int) -> SlidingWindowSplitter:
    """Patches at the multiples of a step, as the original project takes them; see `original_padding`.

    Raises:
        ValueError: they do not end with the volume.
    """
    if any((n - p) % step or n < p for n, p in zip(shape, patch, strict=True)):
        raise ValueError(f"Patches of {patch} voxels at every {step} do not cover a volume of {shape}.")
    starts = tuple(tuple(range(0, n - p + 1, step)) for n, p in zip(shape, patch, strict=True))
    return SlidingWindowSplitter(shape, patch, starts)


def original_padding(length: int, patch: int, step: int) -> tuple[int, int]:
    """Voxels of zeros that the original project puts before and behind an axis, so that fixed patches cover it.

    A whole step where none is needed. A side shorter than the patch, which the original refuses, is filled up to it.
    """
    added = step - (length - patch) % step
    added = max(added, patch - length)
    return added // 2, added - added // 2


def _starts(length: int, patch: int, overlap: float) -> tuple[int, ...]:
    if patch == length:
        return (0,)
    step = max(1, int(patch * (1 - overlap)))
    gaps = -(-(length - patch) // step)
    return tuple(round(k * (length - patch) / gaps) for k in range(gaps + 1))


def blending_window(side: int) -> torch.Tensor:
    """Weights of a patch's voxels along one axis, float64: a raised cosine, never zero, so every voxel counts."""
    phase = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return torch.sin(torch.pi * phase) ** 2 + 1e-3


class PatchMerger:
    """The weighted mean of overlapping predictions, (C, z, y, x).

    Window and grid are products of their axes, so the summed weights are too: each patch's share of a voxel is known
    before it comes, and neither a volume of weights nor a final division is needed.
    """

    def __init__(
        self,
        channels: int,
        grid: SlidingWindowSplitter,
        device: torch.device | str = "cpu",
        total: torch.Tensor | None = None,
        window: Callable[[int], torch.Tensor] = blending_window,
    ) -> None:
        """Begin with nothing.

        total: zeros (C, z, y, x) to sum up in, instead of a tensor of the merger's own. window: weights by the side.
        """
        axes = zip(grid.shape, grid.patch, grid.starts, strict=True)
        self._shares = [_shares(length, window(patch), starts) for length, patch, starts in axes]
        self._sum = torch.zeros((channels, *grid.shape), device=device) if total is None else total

    def add(self, prediction: torch.Tensor, place: tuple[slice, slice, slice]) -> None:
        """Add one prediction (C, *patch) at its place."""
        z, y, x = (shares[axis.start] for shares, axis in zip(self._shares, place, strict=True))
        window = (z[:, None, None] * y[:, None] * x).to(self._sum)
        self._sum[(slice(None), *place)].addcmul_(prediction.to(self._sum), window)

    def result(self) -> torch.Tensor:
        """The mean (C, z, y, x); complete once every patch of the grid was added."""
        return self._sum


def uniform_window(side: int) -> torch.Tensor:
    """The same weight for all voxels of a patch: the plain mean, which the original project takes."""
    return torch.ones(side, dtype=torch.float64)


def _shares(length: int, window: torch.Tensor, starts: tuple[int, ...]) -> dict[int, torch.Tensor]:
    """Per start along one axis, the share (patch,) of each voxel that the patch there contributes; they sum to one."""
    patch, total = len(window), torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + patch] += window
    return {start: window / total[start : start + patch] for start in starts}
