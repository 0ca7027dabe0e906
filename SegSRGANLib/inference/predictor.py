"""The network over a whole volume: patch by patch, or at once."""

from __future__ import annotations

import gc
import logging
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..networks.image_network import ImageNetwork
from ..networks.keras_segsrgan import KerasGenerator
from ..networks.segsrgan import Generator
from ..utils.memory import kept_heap
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from ..utils.triples import triple
from .fast_forward import FastGenerator
from .memory_plan import Plan, first_plan, later_plans, peak_bytes
from .patches import (
    PatchMerger,
    SlidingWindowSplitter,
    blending_window,
    fixed_windows,
    original_padding,
    sliding_windows,
    uniform_window,
)
from .slab_forward import predict_streaming

_logger = logging.getLogger(__name__)
_FLAT = 0.02  # range of intensities, where the brain lies in [0, 1]


@dataclass(frozen=True)
class PredictionOptions:
    """How the network runs; none of it changes what a result means.

    patch: side of a patch in voxels; 0 predicts the whole volume at once.
    overlap: share of a patch in common with the next one.
    batch: patches at once; None chooses 1 on the CPU and as many as fit, up to 16, on a GPU.
    device: "auto", "cpu", "cuda" or "mps". mixed_precision: bfloat16 convolutions, on CUDA only.
    as_original: zeros around the volume, patches at multiples of the step, and their plain mean, as the original
        project predicts; else the border repeated, patches spread evenly, and a smooth window.
    """

    patch: int = 128
    overlap: float = 0.5
    batch: int | None = None
    device: str = "auto"
    mixed_precision: bool = True
    as_original: bool = False

    @property
    def step(self) -> int:
        """Voxels from one patch to the next."""
        return max(1, round(self.patch * (1 - self.overlap)))

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.75:
            raise ValueError(f"The overlap of patches lies between 0 and 0.75, not at {self.overlap}.")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"A batch has at least one patch, not {self.batch}.")


def predict_volume(
    network: ImageNetwork,
    volume: torch.Tensor,
    options: PredictionOptions = PredictionOptions(),
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    record: dict[str, Any] | None = None,
) -> torch.Tensor:
    """Predict overlapping patches and recompose them, or the whole volume at once.

    Memory: see `memory_plan.peak_bytes`. When it does not suffice, the run starts again with a smaller plan. Patches
    that are flat are not predicted: their intensity stays, and they hold no cortex.

    Args:
        network: (N, 1, D, H, W) -> (N, C, D, H, W); its attributes `multiple` and `minimum` bound the sides.
        volume: (z, y, x) float32 on the CPU, any size.
        options: see `PredictionOptions`.
        progress: called after each batch or slab.
        should_stop: asked before each batch or slab.
        record: filled with how it was done: plan, patches, memory, and what did not fit.

    Returns:
        (C, z, y, x) float32 on the CPU.

    Raises:
        ValueError: a patch that the network cannot take.
        MemoryError: not even the smallest plan fits.
        Cancelled: should_stop said so.
    """
    _check_patch(network, options.patch)
    padded, corner = _zero_padded(volume, network, options) if options.as_original else (_padded(volume, network), None)
    best = first_plan(network, tuple(padded.shape), options.patch, options.batch)
    record = {} if record is None else record
    record["fallbacks"] = []
    for plan in (best, *later_plans(best, network)):
        try:
            whole = _predict(network.to(plan.device), padded, plan, options, record, (progress, should_stop))
            break
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            record["fallbacks"].append(f"out of memory: {plan}")
            _logger.warning("out of memory: %s", plan)
        gc.collect()  # outside of the handler, which keeps the failed run's tensors alive
        if plan.device.type == "cuda":
            torch.cuda.empty_cache()
    else:
        raise MemoryError(f"There is not enough memory to predict a volume of {tuple(volume.shape)} voxels.")
    z, y, x = (slice(first, first + n) for first, n in zip(corner or (0, 0, 0), volume.shape, strict=True))
    return whole[:, z, y, x]


def _predict(
    network: ImageNetwork,
    volume: torch.Tensor,
    plan: Plan,
    options: PredictionOptions,
    record: dict[str, Any],
    callbacks: tuple[Progress | None, ShouldStop | None],
) -> torch.Tensor:
    """Carry out one plan."""
    peak = peak_bytes(plan, network, tuple(volume.shape))
    record.update(plan=str(plan), predicted_peak_mb={str(place): size >> 20 for place, size in peak.items()})
    form = inference_form(network)
    half = options.mixed_precision and plan.device.type == "cuda"
    precision = torch.autocast("cuda", torch.bfloat16) if half else nullcontext()
    memory = kept_heap() if plan.device.type == "cpu" else nullcontext()
    with torch.inference_mode(), precision, memory:
        if plan.patch:
            return _predict_patches(form, volume, plan, options, record, callbacks).cpu()
        if isinstance(form, FastGenerator) and not form.unet:
            return predict_streaming(form, volume[None, None], progress=callbacks[0], should_stop=callbacks[1])[0]
        stop_if(callbacks[1])
        return form(volume[None, None].to(plan.device))[0].float().cpu()


def inference_form(network: ImageNetwork) -> nn.Module:
    """The fastest form of a network that gives its numbers on its device."""
    device = next(network.parameters()).device.type
    if device == "cpu" and isinstance(network, (Generator, KerasGenerator)):
        return FastGenerator(network)
    last = device == "cuda" or getattr(network, "channels_last", False)
    return network.to(memory_format=torch.channels_last_3d) if last else network  # ty: ignore[no-matching-overload]


def _predict_patches(
    form: nn.Module,
    volume: torch.Tensor,
    plan: Plan,
    options: PredictionOptions,
    record: dict[str, Any],
    callbacks: tuple[Progress | None, ShouldStop | None],
) -> torch.Tensor:
    progress, should_stop = scaled(callbacks[0], 0, 1), callbacks[1]
    sides = [min(plan.patch, side) for side in volume.shape]
    grid = _windows(triple(volume.shape), triple(sides), options)
    volume = volume.to(plan.accumulate)
    empty, wanted = ([], list(grid)) if options.as_original else _sorted_by_content(volume, grid)
    window = uniform_window if options.as_original else blending_window
    record.update(patches=len(grid), skipped=len(empty))
    places, done, merger = iter(wanted), 0, None
    while chunk := list(islice(places, plan.batch)):
        stop_if(should_stop)
        predictions = form(_stacked(volume, chunk, plan.device)).float().to(plan.accumulate)
        if merger is None:
            merger = PatchMerger(predictions.shape[1], grid, plan.accumulate, window)
            for place in empty:
                merger.add(_unchanged(volume[place], predictions.shape[1]), place)
        for prediction, place in zip(predictions, chunk, strict=True):
            merger.add(prediction, place)
        done += len(chunk)
        progress(done / len(wanted), f"Predicting patch {done} of {len(wanted)}")
    return merger.result()  # ty: ignore[missing-union-attribute]  # at least one patch is wanted


def _windows(
    shape: tuple[int, int, int], patch: tuple[int, int, int], options: PredictionOptions
) -> SlidingWindowSplitter:
    """Where the patches lie; a plan for little memory may have smaller ones than the fixed ones, which are spread."""
    if options.as_original and all((n - p) % options.step == 0 for n, p in zip(shape, patch, strict=True)):
        return fixed_windows(shape, patch, options.step)
    return sliding_windows(shape, patch, options.overlap)


def _stacked(volume: torch.Tensor, places: list[tuple[slice, slice, slice]], device: torch.device) -> torch.Tensor:
    """The patches as a batch on the network's device; on the way to a GPU the computation goes on."""
    patches = torch.stack([volume[place] for place in places]).unsqueeze(1)
    if patches.device == device:
        return patches
    return patches.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else patches.to(device)


def _sorted_by_content(volume: torch.Tensor, grid: SlidingWindowSplitter) -> tuple[list[Any], list[Any]]:
    """Places where the volume is flat, and the others; one is wanted at least, to know what comes out.

    Flat is air with the faint ripples that interpolation leaves beside a bright brain. Instance normalization would
    blow the ripples up, and the network would find cortex in them.
    """
    empty, wanted = [], []
    for place in grid:
        low, high = torch.aminmax(volume[place])
        (wanted if high - low > _FLAT else empty).append(place)
    return (empty, wanted) if wanted else (empty[1:], empty[:1])


def _unchanged(patch: torch.Tensor, channels: int) -> torch.Tensor:
    """What stands for the prediction of an empty patch: its own intensity, and nothing in the other channels."""
    prediction = patch.new_zeros((channels, *patch.shape))
    prediction[0] = patch
    return prediction


def _is_out_of_memory(error: BaseException) -> bool:
    """torch has one error class for this on CUDA, and only texts on the CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _check_patch(network: ImageNetwork, patch: int) -> None:
    if patch and (patch < network.minimum or patch % network.multiple):
        raise ValueError(
            f"This network takes patches of at least {network.minimum} voxels, in multiples of {network.multiple}, "
            f"not {patch}."
        )


def _padded(volume: torch.Tensor, network: ImageNetwork) -> torch.Tensor:
    """The volume, its sides lengthened at the far end by repeating the border until the network can take them."""
    sides = [max(network.minimum, -(-n // network.multiple) * network.multiple) for n in volume.shape]
    missing = [wanted - n for wanted, n in zip(sides, volume.shape, strict=True)]
    if not any(missing):
        return volume
    lengths = [value for m in reversed(missing) for value in (0, m)]
    return F.pad(volume[None, None], lengths, mode="replicate")[0, 0]


def _zero_padded(
    volume: torch.Tensor, network: Any, options: PredictionOptions
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """The volume in zeros, as the original project puts it, and its first voxel there.

    As a whole, each side gets one to four voxels, to a multiple of four.
    """
    if options.patch:
        borders = [original_padding(n, options.patch, options.step) for n in volume.shape]
    else:
        step = network.multiple
        borders = [original_padding(n, max(network.minimum - n, 0) + n - n % step, step) for n in volume.shape]
    lengths = [length for border in reversed(borders) for length in border]
    return F.pad(volume, lengths), tuple(before for before, _ in borders)
