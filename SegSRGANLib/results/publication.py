"""The one way in which a result gets to its place: staged, flushed, moved file by file, the record last.

A record that is there means that all files beside it are its own and whole. So an old record goes before the first file
of the new result comes, and a kill in between leaves files without a record, which are no result.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..utils.atomic_files import explained, flush, flush_folder
from ..utils.errors import VolumeError
from .provenance import is_result_folder, own_files, remove


def publish(places: Mapping[Path, Path], staged_record: Path, record: Path) -> None:
    """Move staged files to their places, and remove what else the earlier result of this record had.

    Args:
        places: final path of each staged file or folder, on the same disk; all in the record's folder.
        staged_record, record: of the new record, and its final path.

    Raises:
        VolumeError: a place is taken by something that is no file of a result, and then nothing was moved; or the disk
            failed while files were moved.
    """
    for staged, place in (*places.items(), (staged_record, record)):
        if place.exists() and (place.is_dir() != staged.is_dir() or (place.is_dir() and not is_result_folder(place))):
            kind = "folder" if place.is_dir() else "file"
            raise VolumeError(
                f"{place} cannot be written (a {kind} has this name): remove it or choose another folder."
            )
    with explained(record):
        record.parent.mkdir(parents=True, exist_ok=True)
        for staged in (*places, staged_record):
            flush(staged)
        earlier = own_files(record)
        record.unlink(missing_ok=True)
        flush_folder(record.parent)
        for path in {*earlier, *(place for place in places.values() if place.is_dir())}:
            remove(path)
        for staged, place in places.items():
            os.replace(staged, place)
        flush_folder(record.parent)
        os.replace(staged_record, record)
        flush_folder(record.parent)
