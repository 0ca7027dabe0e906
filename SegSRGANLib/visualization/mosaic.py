"""Mosaics: many slices of volumes side by side, outlines on them, sides and positions marked.

Places are millimetres from the near faces of the field of view (x, y, z), in volumes whose axes are closest to LPS
(`planes.upright`): volumes that share a field of view show the same anatomy at the same place, whatever their voxels.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.classes import Colour
from ..utils.optional import require
from .planes import cut_plane, edge, extent, grey_window, upright

SLICES = 8  # of a plane
JPEG_QUALITY = 85
_ENDS = 0.1  # share of the brain's extent before the first slice and behind the last
_MARGIN = 8.0  # mm shown around the brain
_GAP = 3  # pixels between tiles
_SIDES = ("RL", "AP", "IS")  # of x, y and z: towards smaller and larger LPS coordinates
_MARK: Colour = (255, 225, 120)
_TEXT: Colour = (235, 235, 235)


@dataclass(frozen=True)
class Outline:
    """The borders of a label map or mask. colours: of label 1, 2 ...; then again."""

    labels: sitk.Image
    colours: tuple[Colour, ...]


@dataclass(frozen=True)
class Layer:
    """One volume as a row of a mosaic. title: beside the row."""

    title: str
    image: sitk.Image
    outlines: tuple[Outline, ...] = ()

    def upright(self) -> Layer:
        """The layer with its axes closest to LPS, as the functions here need it."""
        outlines = tuple(Outline(upright(o.labels), o.colours) for o in self.outlines)
        return Layer(self.title, upright(self.image), outlines)


@dataclass(frozen=True)
class Window:
    """What a tile shows. axis: across which it is cut. place: mm along it. box: lower and upper corner, mm, (2, 3).
    scale: pixels of a millimetre."""

    axis: int
    place: float
    box: np.ndarray
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in pixels."""
        across, down = _in_plane(self.axis)
        lengths = (self.box[1] - self.box[0]) * self.scale
        return max(1, round(float(lengths[down]))), max(1, round(float(lengths[across])))


def box_around(labels: sitk.Image | None, image: sitk.Image) -> np.ndarray:
    """The corners of what lies in an upright label map, with a margin, (2, 3) mm; of the whole image where there is
    none."""
    whole = np.array([np.zeros(3), np.array(image.GetSize()) * image.GetSpacing()])
    shown = None if labels is None else extent(labels)
    if labels is None or shown is None:
        return whole
    corners = (shown + [[0.0], [1.0]]) * labels.GetSpacing()
    return np.clip(corners + np.array([[-_MARGIN], [_MARGIN]]), whole[0], whole[1])


def places_along(box: np.ndarray, axis: int, count: int = SLICES) -> list[float]:
    """Evenly spread places in a box along an axis, mm; the ends, where little brain is, are left out."""
    low, high = box[0, axis] + _MARGIN, box[1, axis] - _MARGIN
    if high <= low:
        low, high = box[:, axis]
    share = np.linspace(_ENDS, 1 - _ENDS, count)
    return [float(low + s * (high - low)) for s in share]


def greys_in(image: sitk.Image, box: np.ndarray) -> tuple[float, float]:
    """The intensities of black and white for what lies in a box of an upright image; fat around it counts for
    nothing."""
    index = box / np.array(image.GetSpacing())
    start = np.clip(np.floor(index[0]).astype(int), 0, np.array(image.GetSize()) - 1)
    stop = np.clip(np.ceil(index[1]).astype(int), start + 1, image.GetSize())
    return grey_window(image[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))])


def draw_tile(layer: Layer, window: Window, greys: tuple[float, float]) -> np.ndarray:
    """One slice of an upright layer as RGB, (rows, columns, 3) uint8, as radiologists see it.

    Args:
        layer: see `Layer.upright`. window: what to show. greys: intensities of black and white, see `greys_in`.
    """
    low, high = greys
    grey = np.clip((_sampled(layer.image, window) - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    for outline in layer.outlines:
        labels = _sampled(outline.labels, window)
        for label in np.unique(labels[labels > 0]).astype(int):
            pixels[edge(labels == label)] = outline.colours[(label - 1) % len(outline.colours)]
    return pixels


def draw_rows(
    layers: Sequence[tuple[Layer, tuple[float, float]]], axis: int, box: np.ndarray, width: int, count: int = SLICES
) -> Any:
    """A mosaic of one plane: a row for each layer, a column for each slice.

    Args:
        layers: upright, each with its intensities of black and white, see `greys_in`.
        axis: across which it is cut. box: see `box_around`.
        width: of the picture, pixels. count: of the slices.

    Returns:
        A Pillow image.

    Raises:
        MissingPackage: Pillow, which matplotlib brings, is not installed.
    """
    across = _in_plane(axis)[0]
    tile_width = (width - (count - 1) * _GAP) / count
    scale = tile_width / float(box[1, across] - box[0, across])
    windows = [Window(axis, place, box, scale) for place in places_along(box, axis, count)]
    return joined(
        [
            [marked(draw_tile(layer, window, greys), layer.image, window) for window in windows]
            for layer, greys in layers
        ]
    )


def marked(pixels: np.ndarray, image: sitk.Image, window: Window) -> Any:
    """A tile with its sides and its position written on it, as a Pillow image."""
    picture = require("PIL.Image", extra="report").fromarray(pixels)
    draw = require("PIL.ImageDraw", extra="report").Draw(picture)
    across = _in_plane(window.axis)[0]
    height, width = window.shape
    size = 15 if width > 110 else 11
    write(draw, (3, 1), _SIDES[across][0], size, _MARK)
    write(draw, (width - 3, 1), _SIDES[across][1], size, _MARK, "ra")
    write(draw, (3, height - 5), position(image, window), size - 1, _TEXT, "ls")
    return picture


def position(image: sitk.Image, window: Window) -> str:
    """Where a slice lies, as "S 12 mm": of the middle of what it shows, along its axis."""
    middle = window.box.mean(axis=0)
    middle[window.axis] = window.place
    index = middle / np.array(image.GetSpacing()) - 0.5
    value = image.TransformContinuousIndexToPhysicalPoint(index.tolist())[window.axis]
    return f"{_SIDES[window.axis][value > 0]} {abs(value):.0f} mm"


def joined(rows: Sequence[Sequence[Any]]) -> Any:
    """Pillow images beside and below each other on black."""
    widths = [max(row[k].width for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    heights = [max(tile.height for tile in row) for row in rows]
    size = sum(widths) + _GAP * (len(widths) - 1), sum(heights) + _GAP * (len(heights) - 1)
    whole = require("PIL.Image", extra="report").new("RGB", size)
    for k, row in enumerate(rows):
        for j, tile in enumerate(row):
            whole.paste(tile, (sum(widths[:j]) + _GAP * j, sum(heights[:k]) + _GAP * k))
    return whole


def write(draw: Any, place: tuple[float, float], text: str, size: int, colour: Colour, anchor: str = "la") -> None:
    """Text on a picture, with a dark rim that keeps it readable on grey."""
    draw.text(place, text, fill=colour, font=font_of(size), anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))


@functools.cache
def font_of(size: int) -> Any:
    """Pillow's own font in a size in pixels; unpacking it takes longer than writing with it."""
    return require("PIL.ImageFont", extra="report").load_default(size)


def encoded(picture: Any, kind: str = "JPEG", **options: Any) -> str:
    """A Pillow image as a data URI. options: of Pillow's writer."""
    stream = io.BytesIO()
    picture.save(stream, kind, **(options or {"quality": JPEG_QUALITY}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _in_plane(axis: int) -> tuple[int, int]:
    """The axes that run across and down a plane."""
    across, down = (k for k in range(3) if k != axis)
    return across, down


def _sampled(image: sitk.Image, window: Window) -> np.ndarray:
    """The nearest voxels of an upright image in a window, (rows, columns); 0 outside of the image."""
    spacing = image.GetSpacing()
    across, down = _in_plane(window.axis)
    index = int(np.clip(np.floor(window.place / spacing[window.axis]), 0, image.GetSize()[window.axis] - 1))
    plane = cut_plane(image, window.axis, index).pixels
    plane = plane if window.axis == 2 else plane[::-1]  # rows from the near face on
    rows, columns = window.shape
    i = np.floor((window.box[0, down] + (np.arange(rows) + 0.5) / window.scale) / spacing[down]).astype(int)
    j = np.floor((window.box[0, across] + (np.arange(columns) + 0.5) / window.scale) / spacing[across]).astype(int)
    inside = ((i >= 0) & (i < plane.shape[0]))[:, None] & (j >= 0) & (j < plane.shape[1])
    found = plane[np.clip(i, 0, plane.shape[0] - 1)][:, np.clip(j, 0, plane.shape[1] - 1)]
    found = np.where(inside, found, 0)
    return found if window.axis == 2 else found[::-1]
