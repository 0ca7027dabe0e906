"""Model files: safetensors with everything that is needed to use them in the metadata.

A model file holds tensors and one JSON text. Nothing is ever unpickled, so a file from a stranger can at worst be
refused. The architecture is stored, never guessed from the names of the weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..networks.factory import ARCHITECTURES, build_network
from ..networks.image_network import ImageNetwork
from ..utils.atomic_files import atomic_path
from ..utils.devices import choose_device
from ..utils.errors import CheckpointError
from .card import ModelCard
from .header import METADATA_KEY, UNUSABLE, Header, cannot_build, read_header
from .registry import DEFAULT_MODEL, find_model


@dataclass
class Model:
    """A network ready to predict, with its card. sha256 is the file's; name is what the user picked it by."""

    network: ImageNetwork
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


def save_checkpoint(path: str | Path, network: Any, card: ModelCard, half: bool = False) -> None:
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
    header = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path.name} is not a model file of this software, or is damaged ({reason}).") from error
    network, card = _described(path, header)
    _fill(path, network, tensors)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(network.eval().to(device), card, digest, path.stem)


def _described(path: Path, header: Header) -> tuple[ImageNetwork, ModelCard]:
    """The network, still without weights, and the card that the metadata describe."""
    description = header.description
    try:
        card = ModelCard.from_values(description["card"])
        network = cast(ImageNetwork, build_network(description["architecture"], description["config"]))
        _check_classes(network, card)
    except UNUSABLE as error:
        raise cannot_build(path, error) from error
    return network, card


def _check_classes(network: ImageNetwork, card: ModelCard) -> None:
    """Raise ValueError unless the card names as many classes as the network has probability channels."""
    count = getattr(network, "classes", 1)
    if len(card.classes) != count:
        raise ValueError(f"The network segments {count} classes, but its card names {', '.join(card.classes)}.")


def _fill(path: Path, network: ImageNetwork, tensors: dict[str, torch.Tensor]) -> None:
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


def load_model(name_or_file: str | Path = DEFAULT_MODEL, device: str | torch.device = "auto") -> Model:
    """Load a model by its name in the list, or from a .safetensors file. Nothing is downloaded.

    Args:
        name_or_file: for instance "segsrgan", or a path.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        CheckpointError: unknown name, missing, damaged or foreign file, or one that is not the listed one any more.
    """
    device = choose_device(device)
    if Path(name_or_file).suffix == ".safetensors" or Path(name_or_file).is_file():
        return load_checkpoint(name_or_file, device)
    entry = find_model(str(name_or_file))
    if not entry.installed and (entry.url or entry.file):
        raise CheckpointError(
            f"The model {entry.name} is not on this computer yet: run  segsrgan models download {entry.name}  first, "
            "or import its file."
        )
    model = load_checkpoint(entry.path, device)
    if entry.sha256 and model.sha256 != entry.sha256:
        raise CheckpointError(f"The file of the model {entry.name} was changed or is damaged; install it again.")
    model.name = entry.name
    return model
