"""How fast a network predicts on this machine: as fast as the last time, or as one timed patch where there was none."""

from __future__ import annotations

import time
import weakref
from math import ceil

import torch
from torch import nn

from ..networks.image_network import ImageNetwork
from ..utils.machine_figures import known_figures, machine_name, remember_figure
from .forms.choice import inference_form
from .forms.precision import likely_precision

_FILE = "pace.json"
_LARGE = 1_000_000  # voxels: fewer are timed with a small patch, and say too little about the next run
_PROBE, _SMALL_PROBE = 64, 32  # voxels, sides of a timed patch

_timed_patches: weakref.WeakKeyDictionary[ImageNetwork, dict[tuple[str, str, int], float]] = weakref.WeakKeyDictionary()


def seconds_per_megavoxel(network: ImageNetwork, voxels: int, precision: str) -> float:
    """How long a network takes for a million voxels on its device.

    Args:
        network: on its device. voxels: that it will predict. precision: see `PredictionOptions`.
    """
    known = known_figures(_FILE).get(_key(network, precision)) if voxels > _LARGE else None
    return known or _patch_pace(network, _PROBE if voxels > _LARGE else _SMALL_PROBE, precision)


def remember_pace(network: ImageNetwork, voxels: int, precision: str, seconds: float) -> None:
    """Keep what a run took, for the estimates of later ones; runs of few voxels are not kept.

    Args:
        network, precision: see `seconds_per_megavoxel`. voxels: that it predicted. seconds: for them, above 0.
    """
    if voxels > _LARGE:
        remember_figure(_FILE, _key(network, precision), round(seconds / voxels * 1e6, 4))


def _key(network: nn.Module, precision: str) -> str:
    parameters = list(network.parameters())
    weights = sum(parameter.numel() for parameter in parameters)
    return f"{type(network).__name__} of {weights} weights, {precision}, {machine_name(parameters[0].device)}"


def _patch_pace(network: ImageNetwork, wanted: int, precision: str) -> float:
    """From one patch, timed once for each network, device and precision."""
    device = next(network.parameters()).device
    side = ceil(max(wanted, network.minimum) / network.multiple) * network.multiple
    known = _timed_patches.setdefault(network, {})
    key = device.type, precision, side
    if key not in known:
        known[key] = _timed(network, side, likely_precision(precision, network)) / side**3 * 1e6
    return known[key]


@torch.inference_mode()
def _timed(network: ImageNetwork, side: int, dtype: torch.dtype) -> float:
    """Seconds for a patch; a GPU compiles its kernels at the first one."""
    device = next(network.parameters()).device
    form, patch = inference_form(network, dtype), torch.rand((1, 1, side, side, side), device=device)
    if device.type != "cpu":
        form(patch).sum().item()
    start = time.perf_counter()
    form(patch).sum().item()  # waits for the device
    return max(time.perf_counter() - start, 1e-6)
