"""Does a file hold the voxels that its header promises? Asked before anything of that size is allocated."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..utils.errors import VolumeError

FARTHEST = 1e9  # mm; SimpleITK decomposes the axes, and never ends when a product of these overflows
MAX_VOXELS = 2**30  # 1024^3, 4 GiB in memory: far above any brain at any spacing that makes sense
_CHUNK = 2**20
_BOMB_BYTES, _BOMB_RATIO = 2**29, 200  # a scan's noise compresses less, and an empty mask is smaller
_PADDING = 4096  # some writers fill up the last block of the file


@dataclass(frozen=True)
class Payload:
    """Where a header says the voxels are.

    file: the file that holds them. offset: where they start, in bytes of the file. size: how many bytes they are,
    expanded. compressed: whether they are a gzip or zlib stream. stored: its length in the file in bytes, where the
    header gives it. from_end: the voxels are the last bytes of the file.
    """

    file: Path
    offset: int
    size: int
    compressed: bool = False
    stored: int | None = None
    from_end: bool = False


def count_voxels(size: Sequence[int], name: str) -> int:
    """The number of voxels of a header's size.

    Raises:
        VolumeError: a negative or zero size, or more voxels than this library ever reads.
    """
    text = " x ".join(map(str, size))
    if min(size) < 1:
        raise VolumeError(f"{name} has an impossible size of {text} voxels: its header is damaged, export it again.")
    voxels = math.prod(size)
    if voxels > MAX_VOXELS:
        raise VolumeError(
            f"{name} has a header of {text} voxels, more than the {MAX_VOXELS} that are read: "
            "its header is damaged, or it must be cropped first."
        )
    return voxels


def check_payload(payload: Payload, name: str) -> None:
    """Check that the voxels are there, whole and undamaged; compressed ones are expanded once, a megabyte at a time.

    Args:
        payload: what the header says.
        name: the file the user gave, for the messages.

    Raises:
        VolumeError: voxels are missing, damaged, or more than the header says.
        OSError: the file cannot be read.
    """
    available = payload.file.stat().st_size - payload.offset
    if payload.stored is not None:
        if available < payload.stored:
            raise _truncated(name, payload.stored, available)
        available = payload.stored
    found = available
    if payload.compressed and payload.size > max(_BOMB_BYTES, _BOMB_RATIO * available):
        raise VolumeError(
            f"{name} is truncated or damaged: it announces {payload.size >> 20} MB of voxels in {available / 1e6:.1f} "
            "MB of compressed data, which no scan holds; copy it again, or crop it first."
        )
    if payload.compressed:
        with payload.file.open("rb") as stream:
            stream.seek(payload.offset)
            found = _expanded_size(stream, available, payload.size + _PADDING, name)
    if found < payload.size:
        raise _truncated(name, payload.size, found)
    if found > payload.size + _PADDING and not payload.from_end:
        raise VolumeError(
            f"{name} holds more data than the {payload.size} bytes its header says: "
            "its header is damaged, export it again."
        )


def _truncated(name: str, expected: int, found: int) -> VolumeError:
    return VolumeError(
        f"{name} is truncated: its header promises {expected} bytes of data and {found} are there; copy it again."
    )


def _expanded_size(stream: BinaryIO, available: int, enough: int, name: str) -> int:
    """Bytes that a gzip or zlib stream expands to, or just more than `enough`; its checksums are verified."""
    total = 0
    inflater = zlib.decompressobj(wbits=47)  # 47: gzip or zlib, told apart by the header
    pending = b""
    try:
        while True:
            if not pending:
                pending = stream.read(min(_CHUNK, available))
                available -= len(pending)
                if not pending:
                    break
            if inflater.eof:  # what follows is padding, or another gzip member
                pending = pending.lstrip(b"\0")
                if not pending:
                    continue
                inflater = zlib.decompressobj(wbits=47)
            total += len(inflater.decompress(pending, _CHUNK))
            if total > enough:
                return total
            pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        total += len(inflater.flush())
    except zlib.error as error:
        raise VolumeError(f"{name} has damaged compressed data ({error}): copy it again.") from error
    if not inflater.eof:
        raise VolumeError(f"{name} is truncated: its compressed data ends too early; copy it again.")
    return total


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
