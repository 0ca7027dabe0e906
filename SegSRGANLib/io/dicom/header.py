"""The header of a DICOM image, its numbers read as the standard writes them, or refused.

GDCM reads `0,45` as 0, `2,5` as 2 and `abc` as 1: a voxel size or a rescaling that is wrong without an error.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from ...data.grid import Grid
from ...utils.triples import triple
from ..payload import shown
from .integrity import Elements

# PS3.5, 6.2: a decimal string (DS); digits, a point, an exponent, blanks around
_DECIMAL = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *")
_GEOMETRY = {
    (0x0020, 0x0032): ("position", 3),
    (0x0020, 0x0037): ("orientation", 6),
    (0x0028, 0x0030): ("pixel spacing", 2),
}
_SLOPE, _INTERCEPT = (0x0028, 0x1053), (0x0028, 0x1052)
_SAMPLES, _FRAMES = (0x0028, 0x0002), (0x0028, 0x0008)
_ROWS, _COLUMNS, _BITS = (0x0028, 0x0010), (0x0028, 0x0011), (0x0028, 0x0100)
_BITS_STORED, _HIGH_BIT, _SIGNED = (0x0028, 0x0101), (0x0028, 0x0102), (0x0028, 0x0103)
_BIT_DEPTHS = (8, 16, 32)
_FARTHEST = 1e6  # mm, of a position
_ENHANCED = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")  # enhanced MR, and converted to it
_STORAGE = (0x0008, 0x0016)
_PHOTOMETRIC, _BETWEEN_SLICES = (0x0028, 0x0004), (0x0018, 0x0088)


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image says.

    grid: with one voxel along z; meaningless where there is a problem. frames: images in the file. enhanced: a
    multi-frame MR object, whose geometry stands in its functional groups. problem: what keeps the file from being a
    slice of a volume, to follow its name in a message; None when nothing does.
    """

    grid: Grid
    frames: int
    enhanced: bool
    problem: str | None


def rescaling(elements: Elements) -> tuple[float, float]:
    """Slope and intercept, from stored numbers to intensities, of an image without a problem."""
    return (*_decimals(elements, _SLOPE), 1.0)[0], (*_decimals(elements, _INTERCEPT), 0.0)[0]


def slice_distance(elements: Elements) -> float:
    """The distance of slices, mm, that the scanner says; 0 where it does not."""
    return abs((*_decimals(elements, _BETWEEN_SLICES), 0.0)[0])


def is_image(elements: Elements) -> bool:
    """Whether a file holds pixels with a size."""
    return elements.pixel_bytes is not None and bool(elements.short(_ROWS)) and bool(elements.short(_COLUMNS))


def expected_bytes(elements: Elements) -> int:
    """Bytes of the pixels that the header of a grey image announces, expanded."""
    rows, columns, bits = (elements.short(tag) or 0 for tag in (_ROWS, _COLUMNS, _BITS))
    return rows * columns * _whole(elements.text(_FRAMES) or "1") * bits // 8


def read_header(elements: Elements) -> ImageHeader:
    """Read the header of an image, see `is_image`."""
    size = (elements.short(_COLUMNS) or 0, elements.short(_ROWS) or 0, 1)
    empty = Grid(size, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel().tolist()))
    frames = _whole(elements.text(_FRAMES) or "1")
    enhanced = elements.text(_STORAGE) in _ENHANCED
    problem = _pixel_problem(elements, size, frames)
    if enhanced or problem is not None:
        return ImageHeader(empty, frames, enhanced, problem)
    problem = _number_problem(elements)
    return ImageHeader(empty if problem else _grid(elements, size), frames, enhanced, problem)


def _pixel_problem(elements: Elements, size: tuple[int, int, int], frames: int) -> str | None:
    """What is wrong with the number of pixels, their kind or their length."""
    if frames < 1:
        return f"says an impossible number of frames, {shown(elements.text(_FRAMES))!r}: export it again"
    if (elements.short(_SAMPLES) or 1) != 1:
        return "has colour pixels: give a series of grey images"
    if elements.text(_PHOTOMETRIC) == "MONOCHROME1":  # which readers turn round, each in its own way
        return "shows large numbers dark (MONOCHROME1), so that its intensities are not certain: export it again"
    if elements.text(_STORAGE) not in _ENHANCED and frames > 1:
        return f"is a multi-frame DICOM file of {frames} frames, which is not read: convert it to NIfTI (dcm2niix does)"
    bits = elements.short(_BITS)
    if bits not in _BIT_DEPTHS:
        return f"has pixels of {bits} bits, where 8, 16 or 32 are read: export it again"
    stored, high = elements.short(_BITS_STORED) or bits, elements.short(_HIGH_BIT)
    if stored > bits or (high is not None and high != stored - 1) or (elements.short(_SIGNED) or 0) > 1:
        return "describes its pixels' bits in an impossible way: export it again"
    expected = expected_bytes(elements)
    if not elements.encapsulated and elements.pixel_bytes not in (expected, expected + expected % 2):
        return (
            f"holds {elements.pixel_bytes} bytes of pixels where {size[1]} rows and {size[0]} columns "
            f"need {expected}: it is damaged, copy it again"
        )
    return None


def _number_problem(elements: Elements) -> str | None:
    """What is wrong with the numbers of geometry and rescaling."""
    for tag, (meaning, _) in _GEOMETRY.items():
        if not elements.text(tag):
            return f"does not say its {meaning}: export it from the scanner again"
    for tag, (meaning, count) in {**_GEOMETRY, _SLOPE: ("rescale slope", 1), _INTERCEPT: ("intercept", 1)}.items():
        if elements.text(tag) and len(_decimals(elements, tag)) != count:
            return (
                f"says a {meaning} of '{shown(elements.text(tag))}', and {count} decimal number(s) with a point are "
                "needed: export it from the scanner again"
            )
    if elements.text(_SLOPE) and not 0 < abs(_decimals(elements, _SLOPE)[0]) < math.inf:
        return f"says a rescale slope of '{shown(elements.text(_SLOPE))}': export it from the scanner again"
    if bool(elements.text(_SLOPE)) != bool(elements.text(_INTERCEPT)):
        return "says only one of rescale slope and intercept: export it from the scanner again"
    numbers = [number for tag in _GEOMETRY for number in _decimals(elements, tag)]
    if not max(map(abs, numbers)) < _FARTHEST or min(_decimals(elements, (0x0028, 0x0030))) <= 0:
        return "has an impossible position or pixel spacing: export it from the scanner again"
    return None


def _grid(elements: Elements, size: tuple[int, int, int]) -> Grid:
    position, orientation, between = (_decimals(elements, tag) for tag in _GEOMETRY)
    row, column = np.reshape(orientation, (2, 3))
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    # between rows first, and an axis of rows runs along y (PS3.3, C.7.6.2.1.1)
    return Grid(size, (between[1], between[0], 1.0), triple(position), tuple(axes.ravel().tolist()))


def _decimals(elements: Elements, tag: tuple[int, int]) -> list[float]:
    """The numbers of a decimal string; empty when one cannot be read."""
    parts = elements.text(tag).split("\\")
    return [float(part) for part in parts] if all(_DECIMAL.fullmatch(part) for part in parts) else []


def _whole(text: str) -> int:
    """A whole number that cannot be negative; -1 where it cannot be read."""
    return int(text) if re.fullmatch(r"\+?\d{1,9}", text) else -1
