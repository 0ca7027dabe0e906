"""Model files: safetensors with everything that is needed to use them in the metadata.

A model file holds tensors and one JSON text. Nothing is ever unpickled, so a file from a stranger can at worst be
refused. The architecture is stored, never guessed from the names of the weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from .. import __version__
from ..data.classes import CORTEX, checked_names
from ..networks.cascade import Cascade, CascadeConfig
from ..networks.keras_segsrgan import OriginalGenerator, OriginalGeneratorConfig
from ..networks.segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from ..networks.srrecnn import SRReCNN, SRReCNNConfig
from ..quality.domain import Domain
from ..transforms.normalization import Normalization
from ..utils.atomic_files import atomic_path

METADATA_KEY = "segsrgan"
ARCHITECTURES: dict[str, tuple[type, type[nn.Module]]] = {
    "generator": (GeneratorConfig, Generator),
    "original": (OriginalGeneratorConfig, OriginalGenerator),
    "cascade": (CascadeConfig, Cascade),
    "srrecnn": (SRReCNNConfig, SRReCNN),
    "discriminator": (DiscriminatorConfig, Discriminator),
}


class CheckpointError(ValueError):
    """A model file that cannot be used; the message says why in one sentence."""


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself.

    training_spacing: voxel spacing in mm, from and to, of the volumes it was trained to make.
    training_slices: slice thickness in mm, from and to, of the low resolution it was trained on.
    consistent_input: whether the network gets interpolated slices that `consistency.make_consistent` brought to
        agreement with the scan, so that it need not guess how thick they were; else the interpolated slices alone.
    domain: what else its training covered; None where that was not measured.
    classes: names of what it segments, in the order of the network's probability channels.
    parent: name and SHA-256 of the model that a fine-tuning started from, or "".
    """

    title: str = "Untitled model"
    description: str = ""
    normalization: Normalization = field(default_factory=Normalization)
    training_data: str = ""
    training_spacing: tuple[float, float] = (0.4, 1.2)
    training_slices: tuple[float, float] = (1.0, 6.0)
    consistent_input: bool = False
    domain: Domain | None = None
    classes: tuple[str, ...] = (CORTEX,)
    licence: str = ""
    citation: str = ""
    parent: str = ""
    software_version: str = __version__


@dataclass
class Model:
    """A network ready to predict, with its card. sha256 is the file's; name is what the user picked it by."""

    network: nn.Module
    card: ModelCard
    sha256: str = ""
    name: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of what it segments, in the order of its probability channels; empty when it makes intensity alone."""
        return self.card.classes if getattr(self.network, "segments", True) else ()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device


def save_checkpoint(path: str | Path, network: nn.Module, card: ModelCard, half: bool = False) -> None:
    """Write a network and its card, atomically.

    Args:
        path: a .safetensors file.
        network: one of `ARCHITECTURES`, with its `config`.
        card: what to say of it.
        half: store the weights in half precision, in half the space; they are computed with in single precision.

    Raises:
        ValueError: a network of another class, or a card that does not name what the network segments.
    """
    name = next((key for key, (_, kind) in ARCHITECTURES.items() if type(network) is kind), None)
    if name is None:
        raise ValueError(f"A {type(network).__name__} cannot be saved; known: {', '.join(ARCHITECTURES)}.")
    _check_classes(network, card)
    description = {"architecture": name, "config": asdict(network.config), "card": asdict(card)}
    stored = torch.float16 if half else torch.float32
    tensors = {key: value.detach().to("cpu", stored).contiguous() for key, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        # not save_file, which makes files that only their owner may read
        temporary.write_bytes(save(tensors, {METADATA_KEY: json.dumps(description)}))


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Model:
    """Read a model file.

    Args:
        path: a .safetensors file written by `save_checkpoint`.
        device: where to put the weights.

    Returns:
        The model in evaluation mode.

    Raises:
        CheckpointError: missing, damaged or foreign file, or weights that do not fit the stored architecture.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no model file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a model file of this software, or is damaged ({error}).") from error
    if text is None:
        raise CheckpointError(f"{path.name} has no metadata of SegSRGAN: it is another project's safetensors file.")
    network, card = _described(path, text)
    _fill(path, network, tensors)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(network.eval().to(device), card, digest, path.stem)


def _described(path: Path, text: str) -> tuple[nn.Module, ModelCard]:
    """The network, still without weights, and the card that the metadata describe."""
    try:
        description: dict[str, Any] = json.loads(text)
        config_type, network_type = ARCHITECTURES[description["architecture"]]
        values = dict(description["card"])
        values["normalization"] = Normalization(**values["normalization"])
        for key in ("training_spacing", "training_slices"):
            low, high = values[key]
            values[key] = (float(low), float(high))
        if values.get("domain") is not None:
            values["domain"] = Domain.from_values(values["domain"])
        values["classes"] = checked_names(values.get("classes", (CORTEX,)))
        card = ModelCard(**values)
        with torch.device("meta"):
            network = network_type(config_type(**description["config"]))
        _check_classes(network, card)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} describes a model that this version ({__version__}) cannot build ({error!r})."
        ) from error
    return network, card


def _check_classes(network: nn.Module, card: ModelCard) -> None:
    """Raise ValueError unless the card names as many classes as the network has probability channels."""
    count = getattr(network, "classes", 1)
    if len(card.classes) != count:
        raise ValueError(f"The network segments {count} classes, but its card names {', '.join(card.classes)}.")


def _fill(path: Path, network: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    expected = network.state_dict()
    for key in expected.keys() | tensors.keys():
        if key not in tensors:
            raise CheckpointError(f"{path.name} lacks the weight {key}.")
        if key not in expected:
            raise CheckpointError(f"{path.name} has a weight {key} that its architecture does not have.")
        if tensors[key].shape != expected[key].shape:
            raise CheckpointError(
                f"{path.name}: the weight {key} has shape {tuple(tensors[key].shape)}, "
                f"but its architecture needs {tuple(expected[key].shape)}."
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise CheckpointError(f"{path.name}: the weight {key} holds values that are not finite.")
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
