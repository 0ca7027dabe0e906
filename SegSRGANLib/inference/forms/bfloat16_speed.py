"""Whether bfloat16 pays on this machine: measured once with a small convolution, and remembered for later runs."""

from __future__ import annotations

import time
from functools import cache

import torch
import torch.nn.functional as F

from ...utils.machine_figures import known_figures, machine_name, remember_figure

_WORTH = 1.5  # times as fast as float32: what surrounds the convolutions gains nothing
_REPEATS = 5
_FILE = "bfloat16.json"


def bfloat16_works(device: torch.device) -> bool:
    """Whether a device can compute in bfloat16 at all, without imitation on a GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        _convolution_seconds(device, torch.bfloat16, 1)
    except (RuntimeError, TypeError):
        return False
    return True


def bfloat16_pays(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 are `_WORTH` times as fast as in float32 on a device."""
    return bfloat16_works(device) and speed_ratio(device) >= _WORTH


@cache
def speed_ratio(device: torch.device) -> float:
    """Seconds of a small convolution in float32 over those in bfloat16; from the user's cache when it is known."""
    machine = machine_name(device)
    known = known_figures(_FILE).get(machine)
    if known is None:
        single, half = (_convolution_seconds(device, dtype, _REPEATS) for dtype in (torch.float32, torch.bfloat16))
        known = round(single / half, 2)
        remember_figure(_FILE, machine, known)
    return known


def _convolution_seconds(device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """The least of several times, after one to warm up."""
    x, filters = torch.ones((1, 32, 24, 24, 24), device=device), torch.ones((32, 32, 3, 3, 3), device=device)
    x, filters = (t.to(dtype).contiguous(memory_format=torch.channels_last_3d) for t in (x, filters))
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            F.conv3d(x, filters, padding=1).flatten()[0].item()  # waits for a GPU
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
