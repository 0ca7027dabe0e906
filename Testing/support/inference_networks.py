"""Small generators of every variant, with random weights."""

from __future__ import annotations

import torch

from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

VARIANTS = {
    "paper": (Generator, GeneratorConfig(4, 2)),
    "three classes": (Generator, GeneratorConfig(4, 2, classes=3)),
    "original": (KerasGenerator, KerasGeneratorConfig(4)),
    "original non-residual": (KerasGenerator, KerasGeneratorConfig(4, residual=False)),
    "original conditional": (KerasGenerator, KerasGeneratorConfig(4, conditional=True)),
    "original U-Net": (KerasGenerator, KerasGeneratorConfig(4, unet=True)),
    "original U-Net, mask": (KerasGenerator, KerasGeneratorConfig(3, unet=True, mask_channels=3)),
    "original mask": (KerasGenerator, KerasGeneratorConfig(5, mask_channels=1)),
}


def variant_network(variant: str) -> torch.nn.Module:
    """One of `VARIANTS`, its normalizations with random weights."""
    torch.manual_seed(0)
    kind, config = VARIANTS[variant]
    network = kind(config).eval()
    for name, parameter in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.5)
    return network
