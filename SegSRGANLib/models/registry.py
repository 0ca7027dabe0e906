"""The models a user can pick by name: those of `models.json`, and those in the user's own folder.

Needs neither torch nor safetensors, so that Slicer's panel lists models before these are installed: only headers are
read, and no network is built. `store` adds and removes models.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..utils.errors import CheckpointError
from .card import ModelCard, read_card
from .download import Fingerprint

DEFAULT_MODEL = "segsrgan"
ADDRESS_VARIABLE = "SEGSRGAN_MODELS_URL"
# Fields that a listed model and the card in its file have in common.
_OF_THE_CARD = ("title", "description", "training_data", "training_slices", "licence", "citation")


@dataclass(frozen=True)
class ModelEntry:
    """One model that can be picked by name.

    A bundled model has `file`, and `url` where the release is known that has it; one that can only be downloaded has
    `url` alone; one of the user's own has neither.

    name: as the user writes it. summary: two plain sentences. title, description, licence, training_data,
        citation: texts.
    training_slices: slice thickness in mm, from and to, that it was trained for.
    training_spacing: voxel spacing in mm, from and to, of the results it was trained for; None while it is not
        installed.
    classes: names of what it segments, as its file says; () while it is not installed.
    file: name beside models.json.
    url: address of a .safetensors file or of a weight file of the original project, which is converted.
    size, sha256, git_blob_sha1: of the file or of the download, see `download.Fingerprint`.
    figures: measured quality, by name.
    error: why the file cannot be used, in one sentence; "" when it can.
    """

    name: str
    title: str
    summary: str = ""
    description: str = ""
    licence: str = ""
    training_data: str = ""
    citation: str = ""
    training_slices: tuple[float, float] = ModelCard.training_slices
    training_spacing: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    file: str = ""
    url: str = ""
    size: int | None = None
    sha256: str = ""
    git_blob_sha1: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def path(self) -> Path:
        """Where the model file is, or will be."""
        return models_folder() / self.file if self.bundled else user_models_folder() / f"{self.name}.safetensors"

    @property
    def bundled(self) -> bool:
        """Whether it came with the software; a package may be built without the weights."""
        return bool(self.file) and (models_folder() / self.file).is_file()

    @property
    def installed(self) -> bool:
        """Whether its file is on this computer; `error` says whether that can be used."""
        return self.path.is_file()

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the bundled file, or of the download."""
        return Fingerprint(self.size, self.sha256, self.git_blob_sha1)

    def card(self) -> ModelCard:
        """What to write into a model file made from this entry."""
        return ModelCard(**{name: getattr(self, name) for name in _OF_THE_CARD})


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
    """The models of `models.json`, bundled or to be downloaded.

    The bundled ones lie in the release whose address `models.json` has under "release", or the variable
    SEGSRGAN_MODELS_URL (a mirror).
    """
    listed = json.loads((models_folder() / "models.json").read_text(encoding="utf-8"))
    return [_listed(values, listed) for values in listed["models"]]


def listed_brain_extractors(folder: Path) -> list[dict[str, str]]:
    """The brain extractors of the `models.json` in `folder`: file and checksum of each; [] where it has none."""
    listed = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return list(listed.get("brain_extractors", []))


def brain_extractor_entry() -> ModelEntry | None:
    """The brain extractor, bundled or to be downloaded, which is no model to pick; None where none is listed."""
    listed = json.loads((models_folder() / "models.json").read_text(encoding="utf-8"))
    return next((_listed(values, listed) for values in listed.get("brain_extractors", [])), None)


def _listed(values: dict[str, Any], listed: dict[str, Any]) -> ModelEntry:
    """An entry of models.json, with its address where a release is known."""
    release = os.environ.get(ADDRESS_VARIABLE) or listed.get("release", "")
    low, high = values.get("training_slices", ModelCard.training_slices)
    url = f"{release.rstrip('/')}/{values['file']}" if release and values.get("file") else values.get("url", "")
    others = {key: value for key, value in values.items() if key not in ("url", "training_slices")}
    return ModelEntry(**others, url=url, training_slices=(float(low), float(high)))


def list_models() -> list[ModelEntry]:
    """All models that can be picked by name: the default one, the other listed ones, then the user's own.

    A file that cannot be used, for instance a truncated one, is an entry with an `error`; it hides no other model.
    """
    entries = sorted(listed_models(), key=lambda entry: entry.name != DEFAULT_MODEL)
    extractor = brain_extractor_entry()
    names = {entry.name for entry in entries} | ({extractor.name} if extractor else set())
    own = [path for path in sorted(user_models_folder().glob("*.safetensors")) if path.stem not in names]
    return [_checked(entry) for entry in entries] + [_own_entry(path) for path in own]


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


def _checked(entry: ModelEntry) -> ModelEntry:
    """A listed entry with what the header of its file adds."""
    if not entry.installed:
        return entry
    try:
        card = read_card(entry.path)
        return replace(entry, training_spacing=card.training_spacing, classes=card.classes)
    except CheckpointError as error:
        return replace(entry, error=str(error))


def _own_entry(path: Path) -> ModelEntry:
    """The entry of a model that the user imported."""
    try:
        card = read_card(path)
    except CheckpointError as error:
        return ModelEntry(path.stem, "Cannot be used", error=str(error))
    described = {name: getattr(card, name) for name in _OF_THE_CARD}
    entry = ModelEntry(path.stem, size=path.stat().st_size, **described)
    return replace(entry, training_spacing=card.training_spacing, classes=card.classes)
