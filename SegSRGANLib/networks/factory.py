"""The networks by the names that model files use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .cascade import Cascade, CascadeConfig
from .keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from .segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from .srrecnn import SRReCNN, SRReCNNConfig

ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "generator": (GeneratorConfig, Generator),
    "original": (KerasGeneratorConfig, KerasGenerator),
    "cascade": (CascadeConfig, Cascade),
    "srrecnn": (SRReCNNConfig, SRReCNN),
    "discriminator": (DiscriminatorConfig, Discriminator),
}


def build_network(architecture: str, config: Mapping[str, Any]) -> Any:
    """A network whose weights have shapes and no memory yet (torch's meta device).

    Args:
        architecture: one of `ARCHITECTURES`. config: the values of its configuration.

    Raises:
        KeyError: unknown architecture. TypeError, ValueError: values that its configuration does not take.
    """
    config_type, network_type = ARCHITECTURES[architecture]
    with torch.device("meta"):
        return network_type(config_type(**config))
