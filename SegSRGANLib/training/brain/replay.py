"""Scans used more than once: on a CPU, making a scan takes as long as learning from it."""

from __future__ import annotations

from collections import defaultdict, deque

import torch

from .fields import Shape, chance, per_item, pick, uniform
from .heads import SyntheticHeads, permuted


class ReplayedHeads:
    """Batches of a few new scans and of earlier ones, mirrored, in another order of axes, contrast and noise.

    fresh: new scans a batch. kept: earlier scans of each shape that are kept, the oldest give way.
    """

    def __init__(
        self, heads: SyntheticHeads, shapes: tuple[Shape, ...], fresh: int = 1, kept: int = 240, seed: int = 0
    ) -> None:
        self._heads, self._shapes, self._fresh = heads, shapes, fresh
        self._generator = torch.Generator().manual_seed(seed)
        self._stored: dict[Shape, deque[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(lambda: deque(maxlen=kept))

    @torch.no_grad()
    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scans and soft brain masks, both (N, 1, D, H, W) float32; N is below `size` until enough are kept."""
        shape = pick(self._shapes, self._generator)
        image, target = self._heads.made(self._fresh, shape)
        stored = self._stored[shape]
        chosen = torch.randperm(len(stored), generator=self._generator)[: size - self._fresh].tolist()
        again = [stored[index] for index in chosen]
        stored.extend((i.half(), t.half()) for i, t in zip(image, target, strict=True))
        if again:
            earlier = torch.stack([i for i, _ in again]).float()
            image = torch.cat([image, _changed(earlier)])
            target = torch.cat([target, torch.stack([t for _, t in again]).float()])
        mirrored = [axis + 2 for axis in range(3) if torch.rand((), generator=self._generator) < 0.5]
        return permuted(image.flip(mirrored), target.flip(mirrored), self._generator)


def _changed(image: torch.Tensor) -> torch.Tensor:
    """Another contrast (a power of the brightness) and more noise; air stays air."""
    batch, device = len(image), image.device
    power = per_item(uniform(batch, 0.7, 1.4, device))
    level = per_item(uniform(batch, 0.0, 0.04, device) * chance(batch, 0.5, device).float())
    noisy = (image.clamp_min(0) ** power + level * torch.randn_like(image)).clamp_min(0)
    return torch.where(image > 0, noisy, image)
