"""Cross-sections of volumes and maps as pictures inside a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.classes import display_colours
from ..data.grid import Grid
from ..inference.enhancement import Enhancement
from ..transforms.resample import resample_labels, upsample
from ..utils.optional import require
from .mosaic import JPEG_QUALITY, encoded
from .palette import TOO_BRIGHT, TOO_DARK, UNSURE
from .planes import Plane, cut_plane, edge, extent, grey_window, upright

_LARGEST = 512  # pixels of a side
_MARGIN = 10.0  # mm around the brain
_SHOWN_FROM, _FULL_AT = 3.0, 8.0  # robust standard deviations of the consistency map
_MOST_DEVIATION = 0.1  # of the intensity range: shown with the full colour


@dataclass(frozen=True)
class Section:
    """One cross-section. name: axial, coronal or sagittal. width, height: mm. layers: data URIs by name."""

    name: str
    width: float
    height: float
    layers: dict[str, str]


def draw_cross_sections(result: Enhancement, image: sitk.Image, point: np.ndarray) -> list[Section]:
    """The three planes of a result through a point, as radiologists see them.

    Args:
        result: with its maps. image: the scan.
        point: LPS, mm; the nearest voxels of the result are cut.

    Returns:
        Planes with the layers "scan", "spline", "result", and where there are any "outline", "consistency",
        "deviation" and "entropy", all of one size.

    Raises:
        MissingPackage: Pillow, which matplotlib brings, is not installed.
    """
    grid = _around_brain(result)
    position = grid.image(np.zeros(grid.shape, np.uint8)).TransformPhysicalPointToContinuousIndex(
        list(map(float, point))
    )
    index = np.clip(np.round(position).astype(int), 0, np.array(grid.size) - 1)
    windows = grey_window(image), grey_window(result.sr)
    return [_draw(result, image, _slab(grid, axis, int(index[axis])), windows) for axis in (2, 1, 0)]


def middle_of(result: Enhancement) -> np.ndarray:
    """A point in the middle of the cortex, a little beside the midline, or of the field of view. LPS, mm."""
    index = (np.array(result.sr.GetSize()) - 1) / 2
    if result.labels is not None:
        corners = extent(result.labels)
        index = index if corners is None else corners.mean(axis=0)
    return np.array(result.sr.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _around_brain(result: Enhancement) -> Grid:
    """The part of the result's grid around its brain mask; all of it without one."""
    grid = Grid.of(result.sr)
    corners = None if result.mask is None else extent(resample_labels(result.mask, grid))
    if corners is None:
        return grid
    margin = _MARGIN / np.array(grid.spacing)
    start = np.maximum(np.floor(corners[0] - margin), 0).astype(int)
    stop = np.minimum(np.ceil(corners[1] + margin) + 1, grid.size).astype(int)
    origin = np.array(grid.origin) + np.array(grid.direction).reshape(3, 3) @ (start * grid.spacing)
    return replace(grid, size=tuple(map(int, stop - start)), origin=tuple(map(float, origin)))


def _slab(grid: Grid, axis: int, index: int) -> Grid:
    """The grid of one voxel layer."""
    step = np.array(grid.direction).reshape(3, 3)[:, axis] * grid.spacing[axis] * index
    size = tuple(1 if k == axis else n for k, n in enumerate(grid.size))
    return replace(grid, size=size, origin=tuple(map(float, np.array(grid.origin) + step)))


def _draw(
    result: Enhancement, image: sitk.Image, slab: Grid, windows: tuple[tuple[float, float], tuple[float, float]]
) -> Section:
    def cut(volume: sitk.Image) -> np.ndarray:
        return _only_plane(resample_labels(volume, slab)).pixels

    sr = _only_plane(resample_labels(result.sr, slab))
    layers = {
        "scan": _grey(cut(image), windows[0]),
        "spline": _grey(_only_plane(upsample(image, slab)).pixels, windows[0]),
        "result": _grey(sr.pixels, windows[1]),
    }
    if result.labels is not None:
        layers["outline"] = _outlines(cut(result.labels), tuple(result.probabilities))
    if "consistency" in result.maps:
        z = cut(result.maps["consistency"])
        strength = np.clip((np.abs(z) - _SHOWN_FROM) / (_FULL_AT - _SHOWN_FROM), 0, 1)
        layers["consistency"] = _overlay(0.8 * strength, TOO_BRIGHT, TOO_DARK, z < 0)
    if "sr-deviation" in result.maps:
        share = cut(result.maps["sr-deviation"]) / (_MOST_DEVIATION * windows[1][1])
        layers["deviation"] = _overlay(0.8 * np.clip(share, 0, 1), UNSURE)
    if "cortex-entropy" in result.maps:
        layers["entropy"] = _overlay(0.8 * cut(result.maps["cortex-entropy"]), UNSURE)
    height, width = np.array(sr.pixels.shape) * sr.spacing
    return Section(sr.name, round(float(width), 2), round(float(height), 2), layers)


def _only_plane(slab: sitk.Image) -> Plane:
    """The plane of a volume that is one voxel thick."""
    oriented = upright(slab)
    return cut_plane(oriented, oriented.GetSize().index(1), 0)


def _outlines(labels: np.ndarray, classes: tuple[str, ...]) -> str:
    """The border of each class in its colour."""
    pixels = np.zeros((*labels.shape, 4), np.uint8)
    for number, colour in enumerate(display_colours(classes), start=1):
        pixels[edge(labels == number)] = (*colour, 255)
    return _encoded(require("PIL.Image", extra="report").fromarray(pixels), "PNG", optimize=True)


def _grey(pixels: np.ndarray, window: tuple[float, float]) -> str:
    low, high = window
    values = np.clip((pixels - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    return _encoded(require("PIL.Image", extra="report").fromarray(values), "JPEG", quality=JPEG_QUALITY)


def _overlay(
    strength: np.ndarray,
    colour: tuple[int, int, int],
    other: tuple[int, int, int] | None = None,
    where: np.ndarray | None = None,
) -> str:
    """A colour with the opacity of `strength` (0 to 1), and another colour at some places."""
    pixels = np.empty((*strength.shape, 4), np.uint8)
    pixels[..., :3] = colour
    if other is not None:
        pixels[where, :3] = other
    pixels[..., 3] = np.clip(strength * 255, 0, 255).astype(np.uint8)
    return _encoded(require("PIL.Image", extra="report").fromarray(pixels), "PNG", optimize=True)


def _encoded(picture: Any, kind: str, **options: Any) -> str:
    if max(picture.size) > _LARGEST:
        picture.thumbnail((_LARGEST, _LARGEST))
    return encoded(picture, kind, **options)
