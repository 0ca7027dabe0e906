"""The fastest form of a network that gives its numbers: on its device, in a chosen precision."""

from __future__ import annotations

from collections.abc import Generator as Generated
from contextlib import contextmanager

import torch
from torch import nn

from ...networks.cascade import Cascade
from ...networks.keras_segsrgan import KerasGenerator
from ...networks.segsrgan import Generator
from ..network_parts import IntensityPart, SegmentationPart
from .cascade_forward import FastCascade
from .fast_forward import FastGenerator


class Autocast(nn.Module):
    """A network whose convolutions run in bfloat16, its sums in float32: (N, C, D, H, W) -> float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._device = next(network.parameters()).device.type

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch; see the network's own `forward`."""
        with torch.autocast(self._device, torch.bfloat16):
            return self.network(x).float()


def inference_form(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The form that `predict_volume` runs.

    Args:
        network: on its device. dtype: of the convolutions, float32 or bfloat16.
    """
    device = next(network.parameters()).device.type
    if isinstance(network, Cascade):
        return FastCascade(network, dtype)
    if isinstance(network, IntensityPart):
        return FastCascade(network.cascade, dtype, segments=False)
    if isinstance(network, SegmentationPart):
        return FastCascade(network.cascade, dtype, sharpens=False)
    if dtype == torch.bfloat16:
        return Autocast(network.to(memory_format=torch.channels_last_3d))  # ty: ignore[no-matching-overload]
    if device == "cpu" and isinstance(network, (Generator, KerasGenerator)):
        return FastGenerator(network)
    last = device == "cuda" or getattr(network, "channels_last", False)
    return network.to(memory_format=torch.channels_last_3d) if last else network  # ty: ignore[no-matching-overload]


@contextmanager
def full_precision() -> Generated[None]:
    """Inside the block float32 means float32 on CUDA, too: convolutions do not round their input to 10 bits (TF32)."""
    former = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = former
