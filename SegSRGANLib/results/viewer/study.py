"""What there is to show of a result: its record, the files beside it, and its scan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...utils.errors import VolumeError
from ..provenance import recorded_files

_RECORD = "_record.json"
# What a file is, by the end of its name: those of `segsrgan predict`, then those of a BIDS derivative.
_ROLES = {
    "_sr.nii.gz": "sr",
    "_cortex.nii.gz": "labels",
    "_segmentation.nii.gz": "labels",
    "_consistency.nii.gz": "consistency",
    "_sr-deviation.nii.gz": "sr-deviation",
    "_cortex-entropy.nii.gz": "cortex-entropy",
    "_brain-mask.nii.gz": "brain",
    "_T2w.nii.gz": "sr",
    "_dseg.nii.gz": "labels",
    "_mask.nii.gz": "brain",
}


@dataclass(frozen=True)
class Study:
    """One result.

    name: for a title. record: what `save_enhancement` wrote. files: paths by role ("sr", "labels", the maps, "brain"),
    all there. scan: the input, or None where it was not found. missing: names of recorded files that are gone.
    """

    name: str
    record: dict[str, Any]
    files: dict[str, Path]
    scan: Path | None
    missing: tuple[str, ...] = ()


def find_studies(results: str | Path, scans: str | Path | None = None) -> list[Study]:
    """All results in a folder and the folders in it, by name.

    Args:
        results: folder, or one `..._record.json`.
        scans: the scan, or a folder to search for the scans by their recorded names; by default they are looked for
            beside the results, one folder higher, and in the source dataset that a BIDS derivative names.

    Raises:
        VolumeError: no such path, a scan that does not exist, or no results in it.
    """
    results = Path(results)
    if not results.exists():
        raise VolumeError(f"There is no file or folder {results}.")
    if scans is not None and not Path(scans).exists():
        raise VolumeError(f"There is no scan {scans}.")
    records = [results] if results.is_file() else sorted(results.rglob(f"*{_RECORD}"))
    root = results.parent if results.is_file() else results
    places = [Path(scans)] if scans is not None else _usual_places(root)
    found = [study for path in records if (study := _read(path, places)) is not None]
    if not found:
        raise VolumeError(f"{results} holds no result of segsrgan (no file ending in {_RECORD}).")
    return found


def _read(path: Path, places: list[Path]) -> Study | None:
    """The study of a record; None where the file is no record of ours."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("input"), dict) or "quality" not in record:
        return None
    listed = recorded_files(path)
    files: dict[str, Path] = {}
    for file in listed:
        role = next((role for end, role in _ROLES.items() if file.name.endswith(end)), None)
        if role is not None and file.is_file():
            files.setdefault(role, file)
    missing = tuple(file.name for file in listed if not file.exists())
    name = path.name.removesuffix(_RECORD)
    return Study(name, record, files, _scan(record, [*places, path.parent]), missing)


def _scan(record: dict[str, Any], places: list[Path]) -> Path | None:
    """The input of a result: a given file, or one of its name in the places."""
    if places and places[0].is_file():
        return places[0]
    name = record["input"].get("file")
    if not isinstance(name, str) or not name or Path(name).name != name:
        return None
    return next((path for place in places for path in _named(place, name)), None)


def _named(place: Path, name: str) -> Iterator[Path]:
    if place.name == name:  # a DICOM folder
        yield place
    elif (place / name).exists():
        yield place / name
    elif (place / "dataset_description.json").is_file():  # a BIDS dataset: search its subjects
        yield from sorted(path for subject in place.glob("sub-*") for path in subject.rglob(name))[:1]


def _usual_places(root: Path) -> list[Path]:
    places = [root, root.resolve().parent]
    try:
        described = json.loads((root / "dataset_description.json").read_text(encoding="utf-8"))
        address = described["DatasetLinks"]["raw"]
    except (OSError, ValueError, KeyError, TypeError):
        return places
    return [Path(address.removeprefix("file://")), *places] if str(address).startswith("file:///") else places
