"""In which precision a network runs: float32, or bfloat16 where that is faster and changes the result too little.

bfloat16 has the range of float32 and 8 bits of precision. Processors with matrix units (Intel AMX, AVX512-BF16, GPUs)
compute it several times as fast; on others torch imitates it, many times slower. So both are measured: the speed once
on a machine, with one small convolution, and the change of the result on one patch of each volume. `auto` takes
bfloat16 only when the speed is worth it and the change is below two bounds, and the record says what was found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ...data.classes import label_map
from ...networks.keras_segsrgan import KerasGenerator
from ...networks.segsrgan import Generator
from .bfloat16_speed import bfloat16_pays, bfloat16_works
from .choice import full_precision, inference_form

PRECISIONS = ("auto", "float32", "bfloat16")
NOISE = 0.01  # of a scan with a signal-to-noise ratio of 100, better than a clinical one, relative to its brightness
MOST_ERROR = 0.1  # root mean square of the change of the intensities, relative to that noise
MOST_FLIPS = 0.01  # voxels whose class changes, relative to those that have one
_TRIAL = 64  # side of the patch that both are compared on, voxels
_BRIGHT = 0.1  # of the intensity scale: what is darker is air


def choose_precision(wanted: str, network: nn.Module, volume: torch.Tensor) -> tuple[torch.dtype, dict[str, Any]]:
    """The type of the convolutions, and what the record says of the choice.

    Args:
        wanted: one of `PRECISIONS`. network: on its device. volume: (z, y, x) float32, sides that the network takes.

    Raises:
        ValueError: an unknown precision, or bfloat16 on a device that does not have it.
    """
    check_precision(wanted)
    device = next(network.parameters()).device
    if wanted == "float32":
        return torch.float32, {"chosen": "float32", "reason": "asked for"}
    if wanted == "bfloat16":
        if not bfloat16_works(device):
            raise ValueError(f"bfloat16 does not work on this {device.type} device; use --precision float32 or auto.")
        return torch.bfloat16, {"chosen": "bfloat16", "reason": "asked for"}
    if device.type == "cpu" and isinstance(network, (Generator, KerasGenerator)):
        return torch.float32, {"chosen": "float32", "reason": "this network has no fast bfloat16 form on a CPU"}
    if volume.numel() < 2 * _TRIAL**3:
        return torch.float32, {"chosen": "float32", "reason": "the volume is small"}
    if not bfloat16_pays(device):
        return torch.float32, {"chosen": "float32", "reason": "bfloat16 is not faster on this machine"}
    return _tried(network, volume)


def likely_precision(wanted: str, network: nn.Module) -> torch.dtype:
    """What `choose_precision` will probably take, before there is a volume to try it on."""
    device = next(network.parameters()).device
    if wanted == "float32" or (device.type == "cpu" and isinstance(network, (Generator, KerasGenerator))):
        return torch.float32
    return torch.bfloat16 if bfloat16_pays(device) else torch.float32


def check_precision(wanted: str) -> None:
    """Raises ValueError for an unknown precision."""
    if wanted not in PRECISIONS:
        raise ValueError(f"The precision is one of {', '.join(PRECISIONS)}, not {wanted!r}.")


def _tried(network: nn.Module, volume: torch.Tensor) -> tuple[torch.dtype, dict[str, Any]]:
    """bfloat16 when its result on one patch is near enough to that of float32."""
    device = next(network.parameters()).device
    patch = _central_patch(volume, network)[None, None].to(device)
    with torch.inference_mode(), full_precision():
        exact = inference_form(network)(patch)[0].float().cpu()
        try:
            fast = inference_form(network, torch.bfloat16)(patch)[0].float().cpu()
        except (RuntimeError, TypeError) as error:  # some devices have only a part of the operations in bfloat16
            reason = f"bfloat16 does not work here ({type(error).__name__})"
            return torch.float32, {"chosen": "float32", "reason": reason}
    change = change_of(exact.numpy(), fast.numpy(), getattr(network, "classes", 1))
    near = change["intensity_error"] <= MOST_ERROR and change["flipped"] <= MOST_FLIPS
    bounds = {"intensity_error": MOST_ERROR, "flipped": MOST_FLIPS}
    chosen, reason = ("bfloat16", "faster, and within the bounds") if near else ("float32", "bfloat16 is too inexact")
    return (torch.bfloat16 if near else torch.float32), {
        "chosen": chosen, "reason": reason, "bfloat16_on_one_patch": change, "bounds": bounds
    }  # fmt: skip


def change_of(exact: np.ndarray, fast: np.ndarray, classes: int) -> dict[str, float]:
    """How two predictions (C, z, y, x) of one volume differ.

    Returns:
        intensity_error: root mean square of the difference where the exact one is not air, relative to `NOISE` of its
        brightness there. flipped: voxels whose class differs, relative to those that have one; infinite when a
        prediction is not finite.
    """
    if not np.isfinite(fast).all():
        return {"intensity_error": float("inf"), "flipped": float("inf")}
    bright = exact[0] > _BRIGHT
    bright = bright if bright.any() else np.ones_like(bright)
    brightness = float(np.abs(exact[0][bright]).mean()) or 1.0
    error = float(np.sqrt(np.square(exact[0] - fast[0], dtype=np.float64)[bright].mean()))
    flipped = 0.0
    if len(exact) > 1:
        before, after = (label_map(values[1 : 1 + classes], 0.5) for values in (exact, fast))
        flipped = int(np.count_nonzero(before != after)) / max(1, int(np.count_nonzero(before)))
    return {"intensity_error": round(error / (NOISE * brightness), 4), "flipped": round(flipped, 5)}


def _central_patch(volume: torch.Tensor, network: Any) -> torch.Tensor:
    """The patch around the centre of all that is not air."""
    side = max(network.minimum, -(-_TRIAL // network.multiple) * network.multiple)
    bright = volume > _BRIGHT
    places = []
    for axis in range(3):
        profile = bright.sum(dim=[other for other in range(3) if other != axis], dtype=torch.float64)
        total = float(profile.sum())
        positions = torch.arange(len(profile), dtype=torch.float64)
        centre = float(profile @ positions) / total if total else len(profile) / 2
        length = min(side, len(profile))
        start = min(max(0, round(centre - length / 2)), len(profile) - length)
        places.append(slice(start, start + length))
    return volume[tuple(places)]
