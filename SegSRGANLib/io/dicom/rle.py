"""Run-length encoded pixels (PS3.5, annex G) counted before they are believed: GDCM leaves missing ones as they lay."""

from __future__ import annotations

import struct
from pathlib import Path

from .integrity import Elements

_RLE = "1.2.840.10008.1.2.5"
_SYNTAX = (0x0002, 0x0010)
_HEADER = 64  # bytes: the number of segments, and where each of up to 15 starts


def is_rle(elements: Elements) -> bool:
    """Whether the pixels of a file are run-length encoded."""
    return elements.text(_SYNTAX) == _RLE


def rle_bytes(file: Path, elements: Elements) -> int:
    """How many bytes the pixels of a file of one frame expand to.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        parts = []
        for place, length in elements.fragments[1:]:  # the first item is the table of offsets
            stream.seek(place)
            parts.append(stream.read(length))
    frame = b"".join(parts)
    if len(frame) < _HEADER:
        return 0
    count, *starts = struct.unpack("<16I", frame[:_HEADER])
    ends = [*starts[1:count], len(frame)]
    return sum(_expanded(frame[start:end]) for start, end in zip(starts[:count], ends, strict=False))


def _expanded(segment: bytes) -> int:
    """Bytes that a segment of runs expands to."""
    total = place = 0
    while place < len(segment):
        control = segment[place]
        if control < 128:  # that many bytes more, as they are
            total += min(control + 1, len(segment) - place - 1)
            place += control + 2
        elif control > 128:  # the next byte, repeated
            total += 257 - control if place + 1 < len(segment) else 0
            place += 2
        else:
            place += 1
    return total
