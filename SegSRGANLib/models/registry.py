"""The models a user can pick by name: those of `models.json`, and those in the user's own folder. Needs no torch."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..utils.errors import CheckpointError
from .card import ModelCard, read_card
from .download import Fingerprint

DEFAULT_MODEL = "segsrgan"


@dataclass(frozen=True)
class ModelEntry:
    """One model that can be picked by name.

    A bundled model has `file`; one that can be downloaded has `url`; one of the user's own has neither.

    name: as the user writes it. title, description, licence, training_data, citation: texts.
    training_slices: slice thickness in mm, from and to, that it was trained for.
    file: name beside models.json.
    url: address of a .safetensors file or of a weight file of the original project, which is converted.
    size, sha256, git_blob_sha1: of the file or of the download, see `download.Fingerprint`.
    figures: measured quality, by name.
    """

    name: str
    title: str
    description: str = ""
    licence: str = ""
    training_data: str = ""
    citation: str = ""
    training_slices: tuple[float, float] = ModelCard.training_slices
    file: str = ""
    url: str = ""
    size: int | None = None
    sha256: str = ""
    git_blob_sha1: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the model file is, or will be."""
        return models_folder() / self.file if self.file else user_models_folder() / f"{self.name}.safetensors"

    @property
    def installed(self) -> bool:
        """Whether it can be used without a download."""
        return self.path.is_file()

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the bundled file, or of the download."""
        return Fingerprint(self.size, self.sha256, self.git_blob_sha1)

    def card(self) -> ModelCard:
        """What to write into a model file made from this entry."""
        return ModelCard(
            title=self.title,
            description=self.description,
            training_data=self.training_data,
            training_slices=self.training_slices,
            licence=self.licence,
            citation=self.citation,
        )


def models_folder() -> Path:
    """The folder of the bundled models: inside the installed package, or Resources/Models of the source tree.

    Raises:
        CheckpointError: neither is there.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "bundled", here.parents[2] / "Resources" / "Models"):
        if (folder / "models.json").is_file():
            return folder
    raise CheckpointError(f"The bundled models are missing beside {here.parent}; install SegSRGAN again.")


def user_models_folder() -> Path:
    """The folder of downloaded and imported models; it may not exist yet.

    It lies in the folder that the variable SEGSRGAN_HOME names, else where the system keeps a user's data.
    """
    if home := os.environ.get("SEGSRGAN_HOME"):
        return Path(home).expanduser() / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "SegSRGAN" / "models"


def listed_models() -> list[ModelEntry]:
    """The models of `models.json`, bundled or to be downloaded."""
    listed = json.loads((models_folder() / "models.json").read_text(encoding="utf-8"))
    entries = []
    for values in listed["models"]:
        low, high = values.pop("training_slices", ModelCard.training_slices)
        entries.append(ModelEntry(**values, training_slices=(float(low), float(high))))
    return entries


def list_models() -> list[ModelEntry]:
    """All models that can be picked by name: the default one, the other listed ones, then the user's own."""
    entries = sorted(listed_models(), key=lambda entry: entry.name != DEFAULT_MODEL)
    names = {entry.name for entry in entries}
    files = sorted(user_models_folder().glob("*.safetensors"))
    return entries + [_own_entry(path) for path in files if path.stem not in names]


def find_model(name: str) -> ModelEntry:
    """The entry of a name.

    Raises:
        CheckpointError: no model has this name.
    """
    entries = {entry.name: entry for entry in list_models()}
    if name not in entries:
        raise CheckpointError(
            f"There is no model named {name!r}; choose one of {', '.join(entries)}, or give a .safetensors file."
        )
    return entries[name]


def _own_entry(path: Path) -> ModelEntry:
    """The entry of a model that the user imported."""
    try:
        card = read_card(path)
    except CheckpointError as error:
        return ModelEntry(path.stem, "Cannot be used", str(error))
    return ModelEntry(
        path.stem, card.title, card.description, card.licence, card.training_data, card.citation, card.training_slices
    )
