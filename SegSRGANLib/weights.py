"""The models a user can pick by name: what `models.json` lists, and where the files are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .checkpoint import CheckpointError, Model, load_checkpoint
from .device import choose_device

DEFAULT_MODEL = "segsrgan-paper"


@dataclass(frozen=True)
class ModelEntry:
    """One model of `models.json`.

    file: name beside models.json. sha256: of the file. figures: measured quality, by name.
    """

    name: str
    title: str
    description: str
    file: str
    sha256: str
    licence: str
    training_data: str
    figures: dict[str, Any]

    @property
    def path(self) -> Path:
        """Where the file is."""
        return models_folder() / self.file


def models_folder() -> Path:
    """The folder of the bundled models: inside the installed package, or Resources/Models of the source tree.

    Raises:
        CheckpointError: neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "Models", package.parent / "Resources" / "Models"):
        if (folder / "models.json").is_file():
            return folder
    raise CheckpointError(f"The bundled models are missing beside {package}; install SegSRGAN again.")


def list_models() -> list[ModelEntry]:
    """The models that can be picked by name, the default one first."""
    listed = json.loads((models_folder() / "models.json").read_text(encoding="utf-8"))
    entries = [ModelEntry(**entry) for entry in listed["models"]]
    return sorted(entries, key=lambda entry: entry.name != DEFAULT_MODEL)


def load_model(name_or_file: str | Path = DEFAULT_MODEL, device: str | torch.device = "auto") -> Model:
    """Load a model by its name in the list, or from a .safetensors file.

    Args:
        name_or_file: for instance "segsrgan-paper", or a path.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        CheckpointError: unknown name, missing, damaged or foreign file, or a bundled file that was changed.
    """
    device = choose_device(device)
    entries = {entry.name: entry for entry in list_models()}
    entry = entries.get(str(name_or_file))
    if entry is None:
        if Path(name_or_file).suffix != ".safetensors" and not Path(name_or_file).is_file():
            raise CheckpointError(
                f"There is no model named {str(name_or_file)!r}; choose one of {', '.join(entries)}, "
                "or give a .safetensors file."
            )
        return load_checkpoint(name_or_file, device)
    model = load_checkpoint(entry.path, device)
    if model.sha256 != entry.sha256:
        raise CheckpointError(f"The bundled model {entry.file} was changed or is damaged; install SegSRGAN again.")
    model.name = entry.name
    return model
