"""The network over a whole volume: patch by patch, or at once."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from ..networks.image_network import ImageNetwork
from ..utils.memory import kept_heap, return_freed_memory
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .forms.cascade_forward import FastCascade
from .forms.choice import full_precision, inference_form
from .forms.fast_forward import FastGenerator
from .forms.patch_forward import PatchRun, predict_patches
from .forms.precision import check_precision, choose_precision
from .forms.slab_forward import predict_streaming
from .memory_plan import Plan, first_plan, later_plans, peak_bytes
from .patches import original_padding

_logger = logging.getLogger(__name__)
_SHARPENED = 0.4  # of a cascade's time, when its first part is done


@dataclass(frozen=True)
class PredictionOptions:
    """How the network runs; none of it changes what a result means.

    patch: side of a patch in voxels; 0 predicts the whole volume at once.
    overlap: share of a patch in common with the next one.
    batch: patches at once; None chooses 1 on the CPU and as many as fit, up to 16, on a GPU.
    device: "auto", "cpu", "cuda" or "mps".
    precision: "float32", "bfloat16", or "auto": bfloat16 where it is faster and close enough, see `precision`.
    as_original: zeros around the volume, patches at multiples of the step, and their plain mean, as the original
        project predicts; else the border repeated, patches spread evenly, and a smooth window.
    """

    patch: int = 128
    overlap: float = 0.5
    batch: int | None = None
    device: str = "auto"
    precision: str = "auto"
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
        check_precision(self.precision)


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
    return_freed_memory()  # else what earlier steps freed and kept would not count as available
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
        raise MemoryError(
            f"There is not enough memory to predict a volume of {tuple(volume.shape)} voxels; try a smaller patch or "
            "a coarser spacing."
        )
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
    dtype, record["precision"] = choose_precision(options.precision, network, volume)
    form = inference_form(network, dtype)
    run = PatchRun(plan, options.overlap, record, *callbacks, options.step if options.as_original else None)
    with torch.inference_mode(), full_precision(), kept_heap():
        if isinstance(form, FastCascade) and not options.as_original:  # which takes patches of the intensity, too
            return _predict_cascade(form, volume, run).cpu()
        if plan.patch:
            return predict_patches(form, volume, run).cpu()
        if isinstance(form, FastGenerator) and not form.unet:
            return predict_streaming(form, volume[None, None], progress=callbacks[0], should_stop=callbacks[1])[0]
        stop_if(callbacks[1])
        return form(volume[None, None].to(plan.device))[0].float().cpu()


def _predict_cascade(form: FastCascade, volume: torch.Tensor, run: PatchRun) -> torch.Tensor:
    """Super-resolve the whole volume, without patches; then segment the result patch by patch, or at once."""
    plan, share = run.plan, _SHARPENED if form.segments else 1.0
    stop_if(run.should_stop)
    whole = torch.zeros((1 + form.classes, *volume.shape), device=plan.accumulate)
    sharp = given = volume.to(plan.device)
    if form.sharpens:
        sharp = whole[0] if plan.accumulate == plan.device else torch.empty_like(given)
        form.sharpen(given, sharp, tick=_ticking(run, share))
    del given
    whole[0] = sharp
    if not form.segments:
        run.record.update(patches=1, skipped=0)
    elif plan.patch:
        later = replace(run, progress=scaled(run.progress, share if form.sharpens else 0, 1))
        predict_patches(form.segment, whole[0], later, content=volume, into=whole[1:])
    else:
        whole[1:] = form.segment(sharp[None, None])[0]
    return whole


def _ticking(run: PatchRun, share: float) -> Callable[[float], None]:
    """Tells how much of a volume is super-resolved, which is a share of the run, and stops it when asked to."""
    report = scaled(run.progress, 0, share)

    def tick(done: float) -> None:
        stop_if(run.should_stop)
        report(done, "Super-resolving")

    return tick


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
        borders = [original_padding(n, max(network.minimum, n - n % step), step) for n in volume.shape]
    lengths = [length for border in reversed(borders) for length in border]
    return F.pad(volume, lengths), tuple(before for before, _ in borders)
