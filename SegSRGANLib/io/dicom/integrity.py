"""The elements of a DICOM file, walked through before a reader believes their lengths.

GDCM reserves what an element says it holds (a damaged file of 876 bytes took 2.6 GB and 20 s), and fills pixels that
are missing with whatever the memory held.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...utils.errors import VolumeError

_START = 132  # bytes of preamble and mark
_UNDEFINED = 0xFFFFFFFF
_META, _ITEM = 0x0002, (0xFFFE, 0xE000)
_ITEM_END, _END = (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_SYNTAX, _PIXELS = (0x0002, 0x0010), (0x7FE0, 0x0010)
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".2", ".1.99"))
# PS3.5, 7.1.2: value representations with a length of 4 bytes behind 2 reserved ones, and with one of 2 bytes
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"}
_SHORT |= {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
_MAX_VALUE = 1024  # bytes of a value that is kept: texts and numbers, never pixels
_MAX_DEFLATED = 2**28  # bytes that a deflated file may expand to: one slice is far smaller


@dataclass(frozen=True)
class _Element:
    """A header: tag; kind, its value representation, empty where it has none; length in bytes, or `_UNDEFINED`."""

    tag: tuple[int, int]
    kind: bytes
    length: int


@dataclass
class Elements:
    """What a file holds outside of its sequences.

    values: of short elements, as stored, by tag. pixel_bytes: length of the pixel data, None where there is none.
    encapsulated: the pixels are compressed, so that their length says nothing. fragments: (offset, length) in the file
    of each part of compressed pixels. big_endian: order of binary numbers.
    """

    values: dict[tuple[int, int], bytes] = field(default_factory=dict)
    pixel_bytes: int | None = None
    encapsulated: bool = False
    fragments: list[tuple[int, int]] = field(default_factory=list)
    big_endian: bool = False

    def text(self, tag: tuple[int, int]) -> str:
        """A value as text without padding, empty where there is none; Latin-1 where it is not UTF-8."""
        value = self.values.get(tag, b"").strip(b"\0 ")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")

    def short(self, tag: tuple[int, int]) -> int | None:
        """A binary number of 16 bits; None where there is none."""
        value = self.values.get(tag, b"")
        return int.from_bytes(value, "big" if self.big_endian else "little") if len(value) == 2 else None


def check_elements(file: Path) -> Elements:
    """Walk through a DICOM file with a preamble, also into its sequences.

    Raises:
        VolumeError: an element reaches beyond the end of the file.
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        stream.seek(_START)
        elements = Elements()
        _walk(stream, file, elements)
        if elements.text(_SYNTAX) == _DEFLATED:
            _walk(_inflated(stream, file), file, elements, _DEFLATED)
        return elements


def _walk(stream: BinaryIO, file: Path, elements: Elements, syntax: str = "") -> None:
    """Go from element to element; a deflated data set is left, its compressed start next."""
    place = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(place)
    inflated = syntax == _DEFLATED
    open_ends: list[int | None] = []  # of the sequences and items around: their last byte, None where a mark ends them
    while (element := _next(stream, "" if inflated else syntax)) is not None:
        if syntax == _DEFLATED and not inflated and element.tag[0] != _META:
            stream.seek(place)
            return
        while open_ends and open_ends[-1] is not None and stream.tell() > open_ends[-1]:
            open_ends.pop()
        if element.length != _UNDEFINED and element.length > size - stream.tell():
            raise _damaged(file)
        if not open_ends:
            _note(stream, element, elements)
        if element.tag == _SYNTAX:
            syntax = elements.text(_SYNTAX)
            elements.big_endian = syntax == _BIG_ENDIAN
        if element.tag in (_ITEM_END, _END):
            open_ends = open_ends[:-1]
        elif element.tag == _PIXELS and element.length == _UNDEFINED:
            elements.fragments = _fragments(stream, size, file)
        elif element.length == _UNDEFINED:
            open_ends.append(None)
        elif _holds_elements(stream, element):
            open_ends.append(stream.tell() + element.length)
        else:
            stream.seek(element.length, 1)
        place = stream.tell()


def _note(stream: BinaryIO, element: _Element, elements: Elements) -> None:
    """Keep the value of an element, and the length of the pixels; the stream stays where it is."""
    if element.tag == _PIXELS:
        elements.encapsulated = element.length == _UNDEFINED
        elements.pixel_bytes = element.length
    elif element.length <= _MAX_VALUE and element.kind != b"SQ":
        place = stream.tell()
        elements.values[element.tag] = stream.read(element.length)
        stream.seek(place)


def _inflated(stream: BinaryIO, file: Path) -> BinaryIO:
    """The data set behind the meta information of a deflated file (PS3.5, A.5), expanded."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        content = inflater.decompress(stream.read(), _MAX_DEFLATED)
    except zlib.error as error:
        raise _damaged(file) from error
    if not inflater.eof:
        raise _damaged(file)
    return io.BytesIO(content)


def _next(stream: BinaryIO, syntax: str) -> _Element | None:
    """The next header; None at the end."""
    start = stream.tell()
    head = stream.read(8)
    if len(head) < 8:
        return None
    tag = struct.unpack("<HH", head[:4])
    meta = tag[0] == _META  # is always explicit and little-endian
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
    if element.kind or element.length < 8 or element.tag == _PIXELS:
        return False
    place = stream.tell()
    head = stream.read(4)
    stream.seek(place)
    return head == struct.pack("<HH", *_ITEM)  # without a kind only the content tells


def _fragments(stream: BinaryIO, size: int, file: Path) -> list[tuple[int, int]]:
    """Pass by the compressed pixels, which are no elements: (offset, length) of each part, the offset table first."""
    fragments = []
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _END:
            return fragments
        if (group, element) != _ITEM or length > size - stream.tell():
            raise _damaged(file)
        fragments.append((stream.tell(), length))
        stream.seek(length, 1)
    raise _damaged(file)


def _damaged(file: Path) -> VolumeError:
    return VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
