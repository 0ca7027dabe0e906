"""Whether the elements of a DICOM file fit into it, before a reader believes their lengths.

GDCM reserves what an element says it holds: a damaged file of 876 bytes took 2.6 GB and 20 s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...utils.errors import VolumeError

_START = 132  # bytes of preamble and mark
_UNDEFINED = 0xFFFFFFFF
_META, _ITEM, _END = 0x0002, (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_SYNTAX, _PIXELS = (0x0002, 0x0010), (0x7FE0, 0x0010)
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".2", ".1.99"))
# PS3.5, 7.1.2: value representations with a length of 4 bytes behind 2 reserved ones, and with one of 2 bytes
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"}
_SHORT |= {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}


@dataclass(frozen=True)
class _Element:
    """A header: tag; kind, its value representation, empty where it has none; length in bytes, or `_UNDEFINED`."""

    tag: tuple[int, int]
    kind: bytes
    length: int


def check_elements(file: Path) -> None:
    """Walk through a DICOM file with a preamble, also into its sequences.

    Raises:
        VolumeError: an element reaches beyond the end of the file.
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(_START)
        syntax = ""
        while (element := _next(stream, syntax)) is not None:
            rest = size - stream.tell()
            if element.length != _UNDEFINED and element.length > rest:
                raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
            if element.tag == _SYNTAX:
                syntax = stream.read(element.length).strip(b"\0 ").decode("ascii", "replace")
            elif element.length != _UNDEFINED and not _holds_elements(stream, element):
                stream.seek(element.length, 1)
            elif element.tag == _PIXELS:
                _check_fragments(stream, size, file)


def _next(stream: BinaryIO, syntax: str) -> _Element | None:
    """The next header; None at the end, or where compression hides what follows."""
    start = stream.tell()
    head = stream.read(8)
    if len(head) < 8:
        return None
    tag = struct.unpack("<HH", head[:4])
    meta = tag[0] == _META  # is always explicit and little-endian
    if syntax == _DEFLATED and not meta:
        return None
    order = ">" if syntax == _BIG_ENDIAN and not meta else "<"
    tag = struct.unpack(f"{order}HH", head[:4])
    kind = head[4:6] if (meta or syntax != _IMPLICIT) and tag[0] != _ITEM[0] else b""
    if kind in _SHORT:
        return _Element(tag, kind, struct.unpack(f"{order}H", head[6:])[0])
    if kind in _LONG:
        length = stream.read(4)
        return _Element(tag, kind, struct.unpack(f"{order}I", length)[0]) if len(length) == 4 else None
    stream.seek(start + 8)  # no kind, or none that exists: a length of 4 bytes, as readers take it
    return _Element(tag, b"", struct.unpack(f"{order}I", head[4:])[0])


def _holds_elements(stream: BinaryIO, element: _Element) -> bool:
    """Whether the value is a sequence or an item, whose elements come next."""
    if element.kind == b"SQ" or element.tag == _ITEM:
        return True
    if element.kind or element.length < 8:
        return False
    place = stream.tell()
    head = stream.read(4)
    stream.seek(place)
    return head == struct.pack("<HH", *_ITEM)  # without a kind only the content tells


def _check_fragments(stream: BinaryIO, size: int, file: Path) -> None:
    """Pass by the compressed pixels, which are no elements."""
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _END:
            return
        if length > size - stream.tell():
            raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
        stream.seek(length, 1)
