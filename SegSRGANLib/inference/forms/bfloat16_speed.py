"""Whether bfloat16 pays on this machine: measured once with a small convolution, and remembered for later runs."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from ...utils.atomic_files import atomic_path
from ...utils.errors import VolumeError

_WORTH = 1.5  # times as fast as float32: what surrounds the convolutions gains nothing
_REPEATS = 5


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
    path, machine = cache_folder() / "bfloat16.json", _machine(device)
    known = _read(path)
    if machine not in known:
        single, half = (_convolution_seconds(device, dtype, _REPEATS) for dtype in (torch.float32, torch.bfloat16))
        known[machine] = round(single / half, 2)
        with suppress(OSError, VolumeError), atomic_path(path) as temporary:  # a full or read-only home: measure again
            temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return known[machine]


def cache_folder() -> Path:
    """Where the system keeps what a program can make again; it may not exist yet."""
    if home := os.environ.get("SEGSRGAN_HOME"):
        return Path(home).expanduser() / "cache"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "SegSRGAN" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "SegSRGAN"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "SegSRGAN"


def _read(path: Path) -> dict[str, float]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _machine(device: torch.device) -> str:
    """What the speed depends on, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{_processor()}, {device.type}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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
