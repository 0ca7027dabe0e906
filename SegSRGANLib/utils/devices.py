"""The device that a run computes on, chosen once."""

from __future__ import annotations

import torch


def choose_device(wanted: str | torch.device = "auto") -> torch.device:
    """Turn the user's choice into a device that works here.

    Args:
        wanted: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        ValueError: an unknown name, or a device that this machine does not have.
    """
    if isinstance(wanted, torch.device):
        return wanted
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"Unknown device {wanted!r}; use auto, cpu, cuda or mps.") from None
    available = {"cpu": True, "cuda": cuda and (device.index or 0) < torch.cuda.device_count(), "mps": mps}
    if not available.get(device.type, False):
        raise ValueError(f"The device {wanted!r} is not available on this machine; use auto or cpu.")
    return device
