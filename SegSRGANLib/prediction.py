"""The network over a whole volume, patch by patch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import nn

from .patches import PatchGrid, Recomposition, patch_grid
from .progress import Progress, ShouldStop, scaled, stop_if


@dataclass(frozen=True)
class PredictionOptions:
    """How the network runs; none of it changes what a result means.

    patch: side of a patch in voxels. overlap: share of a patch in common with the next one.
    batch: patches at once; None chooses 1 on the CPU and 8 on a GPU.
    device: "auto", "cpu", "cuda" or "mps". mixed_precision: bfloat16 convolutions, on CUDA only.
    """

    patch: int = 64
    overlap: float = 0.5
    batch: int | None = None
    device: str = "auto"
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.8:
            raise ValueError(f"The overlap of patches lies between 0 and 0.8, not at {self.overlap}.")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"A batch has at least one patch, not {self.batch}.")


def predict_volume(
    network: nn.Module,
    volume: torch.Tensor,
    options: PredictionOptions = PredictionOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> torch.Tensor:
    """Predict overlapping patches and recompose them.

    Memory: the volume, the output and one batch.

    Args:
        network: (N, 1, D, H, W) -> (N, C, D, H, W); its attributes `multiple` and `minimum` bound the sides.
        volume: (z, y, x) float32 on the CPU, any size.
        options: see `PredictionOptions`.
        progress: called after each batch.
        should_stop: asked before each batch.

    Returns:
        (C, z, y, x) float32 on the CPU.

    Raises:
        ValueError: a patch that the network cannot take.
        Cancelled: should_stop said so.
    """
    _check_patch(network, options.patch)
    padded = _padded(volume, network)
    patch = tuple(min(options.patch, side) for side in padded.shape)
    grid = patch_grid(tuple(padded.shape), patch, options.overlap)  # type: ignore[arg-type]
    device = next(network.parameters()).device
    batch = options.batch or (1 if device.type == "cpu" else 8)
    amp = torch.autocast(device.type, torch.bfloat16, enabled=options.mixed_precision and device.type == "cuda")
    with torch.inference_mode(), amp:
        whole = _predict_patches(network, padded, grid, batch, scaled(progress, 0, 1), should_stop)
    depth, height, width = volume.shape
    return whole[:, :depth, :height, :width]


def _predict_patches(
    network: nn.Module,
    volume: torch.Tensor,
    grid: PatchGrid,
    batch: int,
    progress: Progress,
    should_stop: ShouldStop | None,
) -> torch.Tensor:
    device = next(network.parameters()).device
    places, done, recomposition = iter(grid), 0, None
    while chunk := list(islice(places, batch)):
        stop_if(should_stop)
        patches = torch.stack([volume[place] for place in chunk]).unsqueeze(1)
        predictions = network(patches.to(device)).float().cpu()
        if recomposition is None:
            recomposition = Recomposition(predictions.shape[1], grid)
        for prediction, place in zip(predictions, chunk, strict=True):
            recomposition.add(prediction, place)
        done += len(chunk)
        progress(done / len(grid), f"Predicting patch {done} of {len(grid)}")
    return recomposition.result()  # type: ignore[union-attr] (a grid has at least one patch)


def _check_patch(network: nn.Module, patch: int) -> None:
    if patch < network.minimum or patch % network.multiple:
        raise ValueError(
            f"This network takes patches of at least {network.minimum} voxels, in multiples of {network.multiple}, "
            f"not {patch}."
        )


def _padded(volume: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """The volume, its sides lengthened at the far end by repeating the border until the network can take them."""
    sides = [max(network.minimum, -(-n // network.multiple) * network.multiple) for n in volume.shape]
    missing = [wanted - n for wanted, n in zip(sides, volume.shape, strict=True)]
    if not any(missing):
        return volume
    lengths = [value for m in reversed(missing) for value in (0, m)]
    return F.pad(volume[None, None], lengths, mode="replicate")[0, 0]
