"""The brain extractor over a whole volume, upright and turned, in overlapping tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...networks.brain_extractor import BrainExtractor, scaled_input
from ...utils.progress import ShouldStop, stop_if

_TILE = 208  # voxels of 3 mm: heads and mothers fit in one
_SMALL_TILE = 128  # voxels, where the whole is larger than
_LARGE = 5_000_000  # voxels, which take about 2 GB of memory at once
_OVERLAP = 32  # voxels
_HALF_TURNS = ((), (0, 1), (0, 2), (1, 2))  # axes that are reversed


@torch.inference_mode()
def predict_brain(
    network: BrainExtractor, device: torch.device, volume: torch.Tensor, should_stop: ShouldStop | None = None
) -> np.ndarray:
    """The probability of brain in a volume (z, y, x) of 3 mm voxels, float32 of the same shape.

    A brain is a brain upside down, too, and what looks like one from one side alone is not: the mean of what the
    network says (its logits) of the volume and of its three half turns. Tiles of large volumes overlap and are blended.

    Raises:
        Cancelled: should_stop, asked before each tile, said so.
    """
    padded = _padded(volume, network.config.multiple)
    given = scaled_input(padded[None, None].to(device))[0, 0]
    total = torch.zeros_like(given)
    for axes in _HALF_TURNS:
        total += torch.flip(_tiled_logits(network, torch.flip(given, axes), should_stop), axes)
    depth, height, width = volume.shape
    return torch.sigmoid(total / len(_HALF_TURNS))[:depth, :height, :width].cpu().numpy()


def _tiled_logits(network: BrainExtractor, given: torch.Tensor, should_stop: ShouldStop | None) -> torch.Tensor:
    """What the network says of a scaled volume (z, y, x), blended where tiles overlap."""
    total, weights = torch.zeros_like(given), torch.zeros_like(given)
    for box in _tiles(tuple(given.shape), network.config.multiple):
        stop_if(should_stop)
        logits = network(given[box][None, None])[0, 0]
        weight = _blending(tuple(logits.shape)).to(given.device)
        total[box] += logits * weight
        weights[box] += weight
    return total / weights


def _padded(volume: torch.Tensor, multiple: int) -> torch.Tensor:
    """Zeros behind the last voxels, so that each length is a multiple."""
    missing = [-n % multiple for n in volume.shape]
    return torch.nn.functional.pad(volume, (0, missing[2], 0, missing[1], 0, missing[0]))


def _tiles(shape: tuple[int, ...], multiple: int) -> list[tuple[slice, ...]]:
    """Boxes of limited sides that cover a volume; lengths and places are multiples of `multiple`."""
    side = _TILE if np.prod(shape) <= _LARGE else _SMALL_TILE
    starts = []
    for n in shape:
        count = 1 if n <= side else int(np.ceil((n - _OVERLAP) / (side - _OVERLAP)))
        step = 0 if count == 1 else (n - side) / (count - 1)
        starts.append([int(round(k * step / multiple)) * multiple for k in range(count)])
    return [
        tuple(slice(s, min(s + side, n)) for s, n in zip((z, y, x), shape, strict=True))
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    ]


def _blending(shape: Sequence[int]) -> torch.Tensor:
    """Weights of a tile's voxels: they fall from its middle to its faces."""
    weight = torch.ones(())
    for n in shape:
        at = torch.arange(n) + 0.5
        weight = weight[..., None] * torch.minimum(at, n - at).clamp_max(_OVERLAP / 2)
    return weight
