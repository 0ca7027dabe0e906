"""A network over the patches of a volume: which are computed, in which order, and how they come together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from ...utils.progress import Progress, ShouldStop, scaled, stop_if
from ...utils.triples import triple
from ..memory_plan import Plan
from ..patches import (
    PatchMerger,
    SlidingWindowSplitter,
    blending_window,
    fixed_windows,
    sliding_windows,
    uniform_window,
)

_FLAT = 0.02  # range of intensities, where the brain lies in [0, 1]


@dataclass(frozen=True)
class PatchRun:
    """How patches are predicted.

    plan: patch, batch and devices. overlap: share of a patch in common with the next. record: gets the counts.
    fixed_step: voxels from one patch to the next, as the original project takes them, all of them, with their plain
    mean; None: patches spread evenly, without the flat ones, and a smooth window.
    """

    plan: Plan
    overlap: float
    record: dict[str, Any]
    progress: Progress | None = None
    should_stop: ShouldStop | None = None
    fixed_step: int | None = None


def predict_patches(
    predict: Callable[[torch.Tensor], torch.Tensor],
    volume: torch.Tensor,
    run: PatchRun,
    *,
    content: torch.Tensor | None = None,
    into: torch.Tensor | None = None,
) -> torch.Tensor:
    """Predict overlapping patches and blend them.

    Flat patches are not predicted, unless the step is fixed. Without `into` their intensity stays in the first channel;
    all else is zero there.

    Args:
        predict: (N, 1, D, H, W) on the plan's device to (N, C, D, H, W).
        volume: (z, y, x). run: see `PatchRun`.
        content: of the volume's shape, tells which patches are flat; by default the volume itself.
        into: zeros (C, z, y, x) on the plan's device of accumulation, where the result goes.

    Returns:
        (C, z, y, x) float32 on the plan's device of accumulation.

    Raises:
        Cancelled: should_stop said so.
    """
    plan, progress = run.plan, scaled(run.progress, 0, 1)
    grid = _windows(triple(volume.shape), run)
    volume = volume.to(plan.accumulate)
    fixed = run.fixed_step is not None
    empty, wanted = ([], list(grid)) if fixed else _sorted_by_content(volume if content is None else content, grid)
    window = uniform_window if fixed else blending_window
    run.record.update(patches=len(grid), skipped=len(empty))
    places, done, merger = iter(wanted), 0, None
    while chunk := list(islice(places, plan.batch)):
        stop_if(run.should_stop)
        predictions = predict(_stacked(volume, chunk, plan.device)).float().to(plan.accumulate)
        if merger is None:
            merger = PatchMerger(predictions.shape[1], grid, plan.accumulate, into, window)
            for place in empty if into is None else ():
                merger.add(_unchanged(volume[place], predictions.shape[1]), place)
        for prediction, place in zip(predictions, chunk, strict=True):
            merger.add(prediction, place)
        done += len(chunk)
        progress(done / len(wanted), f"Predicting patch {done} of {len(wanted)}")
    return merger.result()  # ty: ignore[missing-union-attribute]  # at least one patch is wanted


def _windows(shape: tuple[int, int, int], run: PatchRun) -> SlidingWindowSplitter:
    """Where the patches lie; a plan for little memory may have smaller ones than the fixed ones, which are spread."""
    patch, step = triple([min(run.plan.patch, side) for side in shape]), run.fixed_step
    if step is not None and all((n - p) % step == 0 for n, p in zip(shape, patch, strict=True)):
        return fixed_windows(shape, patch, step)
    return sliding_windows(shape, patch, run.overlap)


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
