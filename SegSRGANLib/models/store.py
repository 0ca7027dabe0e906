"""Downloading, importing and removing models in the user's folder (see `registry.user_models_folder`).

Needs neither torch nor safetensors, except to convert a weight file of the original project.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from ..utils.atomic_files import atomic_path, sweep_partial
from ..utils.errors import CheckpointError
from ..utils.optional import require
from ..utils.progress import Progress, ShouldStop
from .card import card_in
from .download import fetch
from .header import cannot_build, check_finite, is_keras_file, read_header
from .registry import (
    ADDRESS_VARIABLE,
    ModelEntry,
    brain_extractor_entry,
    find_model,
    list_models,
    listed_models,
    user_models_folder,
)

# what ARCHITECTURES calls the networks that predict images
GENERATORS = ("generator", "original", "cascade", "srrecnn")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


def download_model(name: str, progress: Progress | None = None, should_stop: ShouldStop | None = None) -> ModelEntry:
    """Download a listed model and make it ready; a weight file of the original project is converted.

    Args:
        name: of a listed model, or of the brain extractor.
        progress: called with the share that has arrived.
        should_stop: asked during the download; what has arrived is kept for the next time.

    Returns:
        The model's entry; its `path` is the file.

    Raises:
        CheckpointError: unknown name, or a model without an address.
        DownloadError: see `download.fetch`.
        MissingPackage: a file of the original project needs h5py.
        Cancelled: should_stop said so.
    """
    extractor = brain_extractor_entry()
    entry = extractor if extractor is not None and extractor.name == name else find_model(name)
    if entry.installed and not entry.error:
        return entry
    if not entry.url or not entry.fingerprint:
        raise CheckpointError(
            f"The model {name} has no verified address to download it from; set {ADDRESS_VARIABLE} to one that has its "
            "file, or import the file."
        )
    if entry.git_blob_sha1:
        require("h5py", extra="keras")  # say so before the download, not after
    target = user_models_folder() / f"{name}.download"
    fetch(entry.url, target, entry.fingerprint, progress, should_stop)
    if entry is extractor:  # no model to check as one; `fetch` compared its fingerprint
        os.replace(target, entry.path)
        return entry
    try:
        _store(target, entry)
    finally:
        target.unlink(missing_ok=True)
    return find_model(name)


def import_model(file: str | Path, name: str | None = None, overwrite: bool = False) -> ModelEntry:
    """Add a model file that the user has: .safetensors, or HDF5 of the original project.

    A file of the list is recognized by its content, whatever it is called. A file that was imported under this name
    before changes nothing.

    Args:
        file: to read; it stays where it is.
        name: to pick the model by; by default the listed one, or the file's name.
        overwrite: replace a model of that name.

    Returns:
        The new entry.

    Raises:
        CheckpointError: missing, damaged or foreign file, a name that cannot be, or is taken.
        MissingPackage: a file of the original project needs h5py.
    """
    file = Path(file)
    if not file.is_file():
        raise CheckpointError(f"There is no model file {file}.")
    listed = {entry.name: entry for entry in listed_models()}
    known = next((entry for entry in listed.values() if entry.fingerprint and entry.fingerprint.matches(file)), None)
    if known is None or name not in (None, known.name):
        name = name or _name_from(file)
        if not _NAME.fullmatch(name) or name in listed:
            raise CheckpointError(
                f"A model cannot be named {name!r}; choose another name of letters, digits, '.', '_', '+' and '-'."
            )
        known = replace(known or ModelEntry(name, name), name=name, file="", url="")
    if known.bundled:
        raise CheckpointError(f"{file.name} is the model {known.name}, which is already installed.")
    if known.path.is_file() and filecmp.cmp(file, known.path, shallow=False):
        return find_model(known.name)
    if known.path.exists() and not overwrite:
        raise CheckpointError(f"There is a model named {known.name} already; choose another name, or replace it.")
    _store(file, known)
    return find_model(known.name)


def free_name(name: str, file: str | Path) -> str:
    """`name`, or with a number after it when another model than the content of `file` is called so."""
    taken = {entry.name: entry.path for entry in list_models()}
    free, number = name, 1
    while free in taken and not (taken[free].is_file() and filecmp.cmp(file, taken[free], shallow=False)):
        number += 1
        free = f"{name}-{number}"
    return free


def remove_model(name: str) -> None:
    """Delete a downloaded or imported model from the user's folder.

    Raises:
        CheckpointError: unknown name, a bundled model, or one that is not there.
    """
    entry = find_model(name)
    if entry.bundled:
        raise CheckpointError(f"The model {name} came with the software and cannot be removed.")
    unfinished = list(user_models_folder().glob(f"{name}.download*"))
    if not entry.installed and not unfinished:
        raise CheckpointError(f"The model {name} is not on this computer.")
    for path in (entry.path, *unfinished):
        path.unlink(missing_ok=True)


def _store(file: Path, entry: ModelEntry) -> None:
    """Check a file's content and put it into the user's folder as the model `entry`."""
    sweep_partial(user_models_folder())
    if is_keras_file(file):
        _convert(file, entry)
        return
    check_importable(file)
    with atomic_path(entry.path) as temporary:
        shutil.copyfile(file, temporary)


def _convert(file: Path, entry: ModelEntry) -> None:
    """Make the model `entry` of a weight file of the original project."""
    from .checkpoint import save_checkpoint  # these two need torch
    from .keras_import import read_keras_file

    card = entry.card()
    if not entry.description:
        card = replace(card, description=f"Converted from the weight file {file.name} of the original project.")
    network, card = read_keras_file(file, card)
    save_checkpoint(entry.path, network, card)


def check_importable(file: Path) -> None:
    """Look at all of a model file that can be judged without building its network.

    Raises:
        CheckpointError: truncated, damaged or foreign file, an impossible card, values that are not finite, or a
            network that does not predict images.
    """
    header = read_header(file)
    card_in(file, header)
    architecture = header.description.get("architecture")
    if architecture == "discriminator":
        raise CheckpointError(f"{file.name} holds a discriminator, which does not predict images.")
    if architecture not in GENERATORS:
        raise cannot_build(file, ValueError(f"architecture {architecture!r:.80}"))
    check_finite(file, header)


def _name_from(file: Path) -> str:
    """A name for a file: its own, with what a name cannot have replaced."""
    stem = file.stem if file.suffix in (".safetensors", ".h5", ".hdf5") else file.name
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip("-._+")[:80]
