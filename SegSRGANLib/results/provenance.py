"""What the record of a result says of the files that it was made from and that it consists of, and whether it holds.

A result is its files as its record lists them, with their lengths and SHA-256. What was changed since is not the result
any more, and what a record merely names is not removed: only what looks like a file of this result.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

_FILE_NAME = re.compile(r"[^/\\]*[^./\\][^/\\]*")  # of something in the same folder
_RECORD = "_record.json"
_BLOCK = 1 << 20
# The endings of every file that a result of `predict` or of a BIDS derivative may have.
_ENDINGS = re.compile(
    r"(.+-)?(sr|cortex|probability|segmentation|mask|consistency(-\d+)?|deviation|entropy)\.nii\.gz"
    r"|(T2w|dseg|probseg|mask)\.(nii\.gz|json|tsv)|qc\.png|report\.html|dicom"
)


def read_record(path: Path) -> dict[str, Any] | None:
    """A record of this software; None where there is none, or a text that is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    parts = ("input", "model", "options")
    whole = isinstance(record, dict) and all(isinstance(record.get(part), dict) for part in parts)
    return record if whole else None


def recorded_files(record: Path) -> list[Path]:
    """The other files of the result that a record describes, all beside it; none where there is no such record."""
    try:
        names = json.loads(record.read_text(encoding="utf-8")).get("files", [])
        return [record.parent / name for name in names if isinstance(name, str) and _FILE_NAME.fullmatch(name)]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return []


def own_files(record: Path) -> list[Path]:
    """Of `recorded_files` those that are named as this software names the files of this result.

    All parts of the record's own name are parts of theirs, in BIDS with an entity between them, and their endings are
    known; a folder holds nothing but DICOM files.
    """
    parts = set(record.name.removesuffix(_RECORD).split("_"))
    return [path for path in recorded_files(record) if _is_own(path, parts)]


def _is_own(path: Path, parts: set[str]) -> bool:
    *names, ending = path.name.split("_")
    if not parts <= set(names) or not _ENDINGS.fullmatch(ending):
        return False
    return not path.is_dir() or is_result_folder(path)


def is_result_folder(path: Path) -> bool:
    """Whether a folder is named like the one of a result's DICOM files and holds nothing else."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return path.name.endswith("_dicom") and all(file.suffix == ".dcm" or file.is_dir() for file in inside)


def remove(path: Path) -> None:
    """A file, or a folder with what it holds; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def content(path: Path) -> dict[str, Any]:
    """Length in bytes and SHA-256 of a file, or of all files in a folder, for a record."""
    digest, length = hashlib.sha256(), 0
    for file in _all_files(path):
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                length += len(block)
    return {"bytes": length, "sha256": digest.hexdigest()}


def changed_file(record: Path) -> str | None:
    """The name of a file that has not the length that its record says, None where all have; no file is read."""
    contents = (read_record(record) or {}).get("contents", {})
    for path in recorded_files(record):
        known = contents.get(path.name) if isinstance(contents, dict) else None
        if isinstance(known, dict) and known.get("bytes") != sum(file.stat().st_size for file in _all_files(path)):
            return path.name
    return None


def edited_file(record: Path) -> str | None:
    """The name of a file whose content is not the recorded one; None where all are, or the record does not say."""
    contents = (read_record(record) or {}).get("contents", {})
    for path in recorded_files(record):
        known = contents.get(path.name) if isinstance(contents, dict) else None
        if path.exists() and isinstance(known, dict) and known != content(path):
            return path.name
    return None


def describe_sources(volume: Path, mask: Path | None = None, mask_sha256: str | None = None) -> dict[str, Any]:
    """What a record says of the files that a result was made from, to see later whether they are still the same.

    Args:
        volume, mask: that were read. mask_sha256: of the mask's voxels, see `record.image_hash`.
    """
    return {
        "file": os.path.basename(os.path.abspath(volume)),  # "." is no name
        "state": file_state(volume),
        "mask_file": None if mask is None else mask.name,
        "mask_state": None if mask is None else file_state(mask),
        "mask_sha256": mask_sha256,
    }


def file_state(path: Path) -> list[list[Any]] | None:
    """Name, length and time stamp (ns) of a file, or of the files in a folder; None when that cannot be read."""
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    except OSError:
        return None


def _all_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
