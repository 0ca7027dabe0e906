"""The places of a result to look at first, as pictures: where it differs from the scan, where the model is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.grid import place_in_words
from ..inference.enhancement import Enhancement
from ..utils.optional import require
from ..visualization.mosaic import Layer, Window, draw_tile, encoded, greys_in, joined, marked

LOOKED_FROM = 3.0  # robust standard deviations: smaller differences are those of any result
_APART = 12.0  # mm between two places of one map
_MOST = 3  # places of one map
_AROUND = 28.0  # mm shown to each side
_TILE = 190  # pixels
_SMOOTHING = 3.0  # mm, sigma: single unsure voxels lie on every border
_LEAST_ENTROPY = 0.5  # bits, after smoothing: below, the model is sure in the neighbourhood
_MARK = (255, 225, 120)


@dataclass(frozen=True)
class Place:
    """title: what is so about it. where: in words, from the origin. point: LPS, mm. picture: data URI, or ""."""

    title: str
    where: str
    point: tuple[float, float, float]
    picture: str = ""


def find_places(result: Enhancement) -> list[Place]:
    """The largest disagreements with the scan, and the neighbourhoods in which the segmentation is most unsure.

    Args:
        result: with its maps; what is not there is not looked at. Trifles are left out.
    """
    places = []
    if (z := result.maps.get("consistency")) is not None:
        for value, point in peaks(z, LOOKED_FROM):
            side = "brighter" if value > 0 else "darker"
            places.append(_place(f"{side} than the scan, {abs(value):.1f} times the usual difference", point))
    if (entropy := result.maps.get("cortex-entropy")) is not None:
        smooth = sitk.SmoothingRecursiveGaussian(entropy, [_SMOOTHING] * 3)
        places += [_place("the segmentation is unsure", point) for _, point in peaks(smooth, _LEAST_ENTROPY)]
    return places


def peaks(image: sitk.Image, least: float) -> list[tuple[float, tuple[float, float, float]]]:
    """The largest absolute values of a map and their places (LPS, mm), some way from each other.

    Args:
        image: 3D. least: smaller values are left out.
    """
    values = sitk.GetArrayFromImage(image).astype(np.float32)
    spacing, found = np.array(image.GetSpacing())[::-1], []
    for _ in range(_MOST):
        index = np.array(np.unravel_index(int(np.abs(values).argmax()), values.shape))
        value = float(values[tuple(index)])
        if abs(value) < least:
            break
        found.append((value, image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])))
        reach = np.ceil(_APART / spacing).astype(int)
        values[tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(index, reach, strict=True))] = 0
    return found


def draw_place(layers: Sequence[Layer], point: tuple[float, float, float]) -> str:
    """The three planes through a point, each of all layers, as a data URI.

    Args:
        layers: upright. point: LPS, mm; it is marked.

    Raises:
        MissingPackage: Pillow, which matplotlib brings, is not installed.
    """
    first = layers[0].image
    spacing = np.array(first.GetSpacing())
    middle = (np.array(first.TransformPhysicalPointToContinuousIndex(point)) + 0.5) * spacing
    box = np.array([middle - _AROUND, middle + _AROUND])
    greys = [greys_in(layer.image, box) for layer in layers]
    row = []
    for axis in (2, 1, 0):
        window = Window(axis, float(middle[axis]), box, _TILE / (2 * _AROUND))
        for layer, black_and_white in zip(layers, greys, strict=True):
            row.append(_pointed_at(marked(draw_tile(layer, window, black_and_white), layer.image, window)))
    return encoded(joined([row]))


def _place(title: str, point: tuple[float, float, float]) -> Place:
    return Place(title, place_in_words(point), point)


def _pointed_at(picture: Any) -> Any:
    """Ticks around the middle, which leave the middle itself free."""
    draw = require("PIL.ImageDraw", extra="report").Draw(picture)
    x, y = picture.width / 2, picture.height / 2
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        draw.line((x + 16 * dx, y + 16 * dy, x + 28 * dx, y + 28 * dy), fill=_MARK, width=2)
    return picture
