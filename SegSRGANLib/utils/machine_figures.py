"""Figures about this machine that are worth keeping between runs: small files in the user's cache."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import torch

from .atomic_files import atomic_path
from .errors import VolumeError

_MOST = 200  # figures in a file: older machines and models are forgotten


def known_figures(name: str) -> dict[str, float]:
    """The figures in a file of the cache, by what they depend on; none where it is missing or damaged."""
    try:
        values = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
        figures = {str(key): float(value) for key, value in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {key: value for key, value in figures.items() if math.isfinite(value) and value > 0}


def remember_figure(name: str, key: str, value: float) -> None:
    """Keep a figure in a file of the cache. Where that cannot be written, nothing happens: it is measured again.

    Args:
        name: of the file. key: what the figure depends on, with `machine_name`. value: finite, above 0.
    """
    figures = known_figures(name)
    figures.pop(key, None)
    kept = dict([*figures.items(), (key, value)][-_MOST:])
    with suppress(OSError, VolumeError), atomic_path(cache_folder() / name) as temporary:
        temporary.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


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


def machine_name(device: torch.device) -> str:
    """What the speed of a device depends on, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{_processor()}, {device.type}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
