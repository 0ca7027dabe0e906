"""What the checks of headers with text in them share."""

from __future__ import annotations

import re
from pathlib import Path

from ..utils.errors import VolumeError


def shown(text: str) -> str:
    """The start of a header's text as it can stand in a message: short, and without control characters."""
    return re.sub(r"[^ -~]", "?", text[:40])


def data_file(path: Path, value: str) -> Path:
    """The one file beside a header (.nhdr, .mhd) that holds its voxels.

    Args:
        path: the header's file.
        value: what the header says. Lists and patterns of files, and other folders, are not read.

    Raises:
        VolumeError: it is not one file in the same folder.
    """
    if value.upper().startswith("LIST") or "%" in value:
        raise VolumeError(f"{path.name} spreads its voxels over several files: export the volume as one file.")
    if value != Path(value).name:
        raise VolumeError(f"{path.name} keeps its voxels in another folder ('{shown(value)}'): put both in one folder.")
    file = path.parent / value
    if not file.is_file():
        raise VolumeError(f"{path.name} needs the file '{shown(value)}' beside it, which is missing: copy both.")
    return file
