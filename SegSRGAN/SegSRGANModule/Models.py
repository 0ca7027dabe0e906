"""The models to choose from: those of models.json, and those in the user's own folder.

The same list as `SegSRGANLib.models.registry.list_models`, read without PyTorch: the panel shows it before that is
installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

_HEADER_LIMIT = 100_000_000  # bytes; what safetensors itself accepts


@dataclass(frozen=True)
class ModelChoice:
    """One line of the model selector.

    key: the name that `segsrgan predict --model` is given. bytes: of the file, or of the download.
    trainingSpacing, trainingSlices: mm, from and to; None when the file does not say.
    """

    key: str
    title: str
    description: str = ""
    licence: str = ""
    bytes: int = 0
    trainingSpacing: tuple[float, float] | None = None
    trainingSlices: tuple[float, float] | None = None
    isInstalled: bool = True

    def details(self) -> str:
        """Description, licence and size, for the line under the selector."""
        parts = [self.description]
        if self.licence:
            parts.append(_("Licence: {name}.").format(name=self.licence))
        if self.bytes:
            parts.append(_("{size:.1f} MB.").format(size=self.bytes / 1e6))
        if not self.isInstalled:
            parts.append(_("Not on this computer yet."))
        return " ".join(part for part in parts if part)


def choices() -> list[ModelChoice]:
    """The models of models.json in their order, the default one first, then those in the user's folder."""
    models = listed()
    names = {model.key for model in models}
    own = sorted(userFolder().glob("*.safetensors"))
    return models + [_ownChoice(path) for path in own if path.stem not in names]


def listed() -> list[ModelChoice]:
    """The models of models.json; none when the installation lacks them."""
    folder = modelsFolder()
    if folder is None:
        return []
    entries = json.loads((folder / "models.json").read_text(encoding="utf-8"))["models"]
    return [_fromEntry(entry, folder) for entry in entries]


def addFile(path: Path, name: str | None = None) -> str:
    """Copy a model file into the user's folder; returns the name it is picked by, by default the file's.

    Raises:
        ValueError: not a SegSRGAN model file, or the name is taken. OSError: it cannot be copied.
    """
    _readCard(path)
    name = name or re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem).strip("-._+")[:80] or "model"
    target = userFolder() / f"{name}.safetensors"
    if name in [choice.key for choice in choices()] and not _isSameFile(path, target):
        raise ValueError(_("There is a model named {name} already; rename the file.").format(name=name))
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file():
        _copyWhole(path, target)
    return name


def freeName(name: str, path: Path) -> str:
    """`name`, or with a number after it when another model than the file `path` is called so."""
    taken, number, free = [choice.key for choice in choices()], 1, name
    while free in taken and not _isSameFile(path, userFolder() / f"{free}.safetensors"):
        number += 1
        free = f"{name}-{number}"
    return free


def userFolder() -> Path:
    """Where the library keeps the user's models; it may not exist yet (see `SegSRGANLib.models`)."""
    if home := os.environ.get("SEGSRGAN_HOME"):
        return Path(home).expanduser() / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "SegSRGAN" / "models"


def modelsFolder() -> Path | None:
    """Where models.json is: inside the installed library, or in Resources/Models of the source tree."""
    package = Path(importlib.util.find_spec("SegSRGANLib").origin).parent
    folders = (package / "models" / "bundled", package.parent / "Resources" / "Models")
    return next((folder for folder in folders if (folder / "models.json").is_file()), None)


def _fromEntry(entry: dict, folder: Path) -> ModelChoice:
    bundled, own = entry.get("file"), userFolder() / f"{entry['name']}.safetensors"
    path = folder / bundled if bundled else own
    isInstalled = path.is_file()
    try:
        card = _readCard(path) if isInstalled else {}
    except ValueError as error:  # a damaged file does not keep the panel from opening
        return ModelChoice(entry["name"], entry["title"], str(error))
    return ModelChoice(
        key=entry["name"],
        title=entry["title"],
        description=entry.get("description", ""),
        licence=entry.get("licence", ""),
        bytes=path.stat().st_size if isInstalled else entry.get("size") or 0,
        isInstalled=isInstalled,
        trainingSpacing=_pair(card.get("training_spacing")),
        trainingSlices=_pair(card.get("training_slices") or entry.get("training_slices")),
    )


def _ownChoice(path: Path) -> ModelChoice:
    try:
        card = _readCard(path)
    except ValueError as error:
        return ModelChoice(path.stem, path.stem, str(error))
    return ModelChoice(
        key=path.stem,
        title=f"{card.get('title') or path.stem} ({path.stem})",
        description=card.get("description", ""),
        licence=card.get("licence", ""),
        bytes=path.stat().st_size,
        trainingSpacing=_pair(card.get("training_spacing")),
        trainingSlices=_pair(card.get("training_slices")),
    )


def _copyWhole(path: Path, target: Path) -> None:
    """Under another name first: a copy that breaks off does not become a model of the list."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.copyfile(path, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _isSameFile(path: Path, other: Path) -> bool:
    return other.is_file() and path.read_bytes() == other.read_bytes()


def _readCard(path: Path) -> dict:
    """The model's card in the header of a safetensors file: 8 bytes of length, then JSON."""
    problem = _("{name} is not a SegSRGAN model; choose a .safetensors file that SegSRGAN wrote.").format(
        name=path.name
    )
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _HEADER_LIMIT:
                raise ValueError(problem)
            metadata = json.loads(file.read(length))["__metadata__"]
        return json.loads(metadata["segsrgan"])["card"]
    except (OSError, struct.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(problem) from error


def _pair(values) -> tuple[float, float] | None:
    return (float(values[0]), float(values[1])) if values else None
