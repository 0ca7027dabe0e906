"""The quality-control picture of one result: mosaics of scan and result in three planes, with outlines and verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.classes import TISSUES, Colour, display_colours
from ..inference.enhancement import Enhancement
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.optional import require
from .mosaic import Layer, Outline, Window, box_around, draw_rows, draw_tile, encoded, font_of, greys_in, joined, write
from .palette import BRAIN_MASK
from .planes import PLANES, upright
from .verdict_style import shown_verdict

THUMBNAIL = "Thumbnail"  # text in the PNG: a small picture of the result as a data URI, for tables of many results

_WIDTH = 1640  # pixels
_THUMBNAIL_SIDE = 110  # pixels
_DATA_URI = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/=]+")
_EDGE, _LINE = 14, 24
_COMPRESSION = 3  # of zlib's 9: as small as with its default of 6, in half the time
_WHITE, _GREY = (235, 235, 235), (154, 160, 168)


def draw_enhancement(image: sitk.Image, result: Enhancement, path: str | Path, name: str) -> None:
    """Draw axial, coronal and sagittal slices of the scan with the brain mask, and of the result with all outlines.

    Args:
        image: the input. result: what `enhance` made of it.
        path: a .png file. name: of the result.

    Raises:
        MissingPackage: Pillow, which matplotlib brings, is not installed.
    """
    layers, box = layers_of(image, result)
    with_greys = [(layer, greys_in(layer.image, box)) for layer in layers]
    rows = [_header(result, name)]
    for axis in (2, 1, 0):
        rows += [_line(f"{PLANES[axis].capitalize()}: {' above, '.join(layer.title for layer in layers)} below")]
        rows += [draw_rows(with_greys, axis, box, _WIDTH)]
    notice = _line(RESEARCH_USE_ONLY, _GREY, 13)
    whole = _framed(joined([[row] for row in (*rows, notice)]))
    information = require("PIL.PngImagePlugin", extra="report").PngInfo()
    information.add_text(THUMBNAIL, encoded(draw_thumbnail(*with_greys[-1], box)))
    whole.save(path, "PNG", pnginfo=information, compress_level=_COMPRESSION)


def layers_of(image: sitk.Image, result: Enhancement) -> tuple[list[Layer], np.ndarray]:
    """Scan and result as rows of a mosaic, and the box around the brain that it shows; see `mosaic`."""
    brain = result.mask if result.mask is not None else result.brain
    mask = () if brain is None else (Outline(_binary(brain), (hex_colour(BRAIN_MASK),)),)
    classes = tuple(result.probabilities)
    labels = () if result.labels is None else (Outline(result.labels, display_colours(classes)),)
    layers = [Layer("scan", image, mask).upright(), Layer("result", result.sr, (*mask, *labels)).upright()]
    shown = brain if brain is not None else result.labels
    return layers, box_around(None if shown is None else upright(_binary(shown)), layers[0].image)


def draw_thumbnail(layer: Layer, greys: tuple[float, float], box: np.ndarray) -> Any:
    """The middle axial slice of an upright layer, small, as a Pillow image."""
    scale = _THUMBNAIL_SIDE / float((box[1] - box[0])[:2].max())
    window = Window(2, float(box[:, 2].mean()), box, scale)
    return require("PIL.Image", extra="report").fromarray(draw_tile(layer, window, greys))


def thumbnail_of(path: Path) -> str | None:
    """The small picture in a quality-control picture as a data URI; None where there is none."""
    image = require("PIL.Image", extra="report")
    try:
        with image.open(path) as picture:  # reads the texts, not the pixels
            text = picture.info.get(THUMBNAIL)
    except (OSError, SyntaxError, ValueError):  # no file, or no picture
        return None
    return text if isinstance(text, str) and _DATA_URI.fullmatch(text) else None


def legend_of(result: Enhancement) -> list[tuple[str, Colour]]:
    """What the colours of a result's outlines mean."""
    classes = tuple(result.probabilities) if result.labels is not None else ()
    found = [
        (TISSUES[c].title if c in TISSUES else c, rgb) for c, rgb in zip(classes, display_colours(classes), strict=True)
    ]
    brain = result.mask is not None or result.brain is not None
    return [*found, *([("Brain mask", hex_colour(BRAIN_MASK))] if brain else [])]


def hex_colour(text: str) -> Colour:
    """RGB of "#rrggbb"."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _binary(labels: sitk.Image) -> sitk.Image:
    return sitk.Cast(labels != 0, sitk.sitkUInt8)


def _header(result: Enhancement, name: str) -> Any:
    """Name, verdict with its first reasons, and the legend."""
    verdict = shown_verdict(result.record)
    title = verdict.word.capitalize() + (f", expected Dice {verdict.dice}" if verdict.dice else "")
    lines = [_line(name, _WHITE, 20), _line(title, verdict.colour, 18)]
    lines += [_line(_shortened(reason), _GREY, 14) for reason in verdict.reasons[:3]]
    return joined([[line] for line in (*lines, _legend(legend_of(result)))])


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _legend(entries: Sequence[tuple[str, Colour]]) -> Any:
    picture, draw = _canvas()
    left = 0.0
    for title, colour in entries:
        draw.rectangle((left, 6, left + 14, 18), outline=colour, width=3)
        write(draw, (left + 20, 3), title, 15, _WHITE)
        left += 40 + draw.textlength(title, font=font_of(15))
    return picture


def _line(text: str, colour: Colour = _WHITE, size: int = 16) -> Any:
    picture, draw = _canvas(size + 8)
    write(draw, (0, 2), text, size, colour)
    return picture


def _canvas(height: int = _LINE) -> tuple[Any, Any]:
    picture = require("PIL.Image", extra="report").new("RGB", (_WIDTH, height))
    return picture, require("PIL.ImageDraw", extra="report").Draw(picture)


def _framed(picture: Any) -> Any:
    size = picture.width + 2 * _EDGE, picture.height + 2 * _EDGE
    whole = require("PIL.Image", extra="report").new("RGB", size)
    whole.paste(picture, (_EDGE, _EDGE))
    return whole
