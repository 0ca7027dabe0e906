"""Cross-sections of volumes and maps as pictures inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..inference.enhancement import Enhancement
from ..transforms.resample import resample_labels, upsample
from ..utils.optional import require

_NAMES = ("sagittal", "coronal", "axial")
_LARGEST = 512  # pixels of a side
_JPEG_QUALITY = 85
_OUTLINE = (255, 93, 59)
_TOO_BRIGHT, _TOO_DARK, _UNSURE = (255, 60, 40), (60, 120, 255), (255, 200, 0)
_SHOWN_FROM, _FULL_AT = 3.0, 8.0  # robust standard deviations of the consistency map
_MOST_DEVIATION = 0.1  # of the intensity range: shown with the full colour


@dataclass(frozen=True)
class Plane:
    """One cross-section. name: axial, coronal or sagittal. width, height: mm. layers: data URIs by name."""

    name: str
    width: float
    height: float
    layers: dict[str, str]


def draw_cross_sections(result: Enhancement, image: sitk.Image, point: np.ndarray) -> list[Plane]:
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
    grid = Grid.of(result.sr)
    index = np.round(result.sr.TransformPhysicalPointToContinuousIndex([float(p) for p in point])).astype(int)
    index = np.clip(index, 0, np.array(grid.size) - 1)
    windows = _window(image), _window(result.sr)
    return [_draw(result, image, _slab(grid, axis, int(index[axis])), windows) for axis in (2, 1, 0)]


def middle_of(result: Enhancement) -> np.ndarray:
    """A point in the middle of the cortex, a little beside the midline, or of the field of view. LPS, mm."""
    index = (np.array(result.sr.GetSize()) - 1) / 2
    if result.labels is not None:
        voxels = np.nonzero(sitk.GetArrayViewFromImage(result.labels))
        if voxels[0].size:
            index = np.array([(np.percentile(v, 1) + np.percentile(v, 99)) / 2 for v in reversed(voxels)])
    return np.array(result.sr.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _slab(grid: Grid, axis: int, index: int) -> Grid:
    """The grid of one voxel layer."""
    step = np.array(grid.direction).reshape(3, 3)[:, axis] * grid.spacing[axis] * index
    size = tuple(1 if k == axis else n for k, n in enumerate(grid.size))
    return replace(grid, size=size, origin=tuple(map(float, np.array(grid.origin) + step)))


def _draw(
    result: Enhancement, image: sitk.Image, slab: Grid, windows: tuple[tuple[float, float], tuple[float, float]]
) -> Plane:
    def cut(volume: sitk.Image) -> np.ndarray:
        return _upright(resample_labels(volume, slab))

    sr = cut(result.sr)
    layers = {
        "scan": _grey(cut(image), windows[0]),
        "spline": _grey(_upright(upsample(image, slab)), windows[0]),
        "result": _grey(sr, windows[1]),
    }
    if result.labels is not None:
        labels = cut(result.labels)
        edges = [_edge(labels == number) for number in range(1, 1 + len(result.probabilities))]
        layers["outline"] = _overlay(np.any(edges, axis=0).astype(np.float32), _OUTLINE)
    if "consistency" in result.maps:
        z = cut(result.maps["consistency"])
        strength = np.clip((np.abs(z) - _SHOWN_FROM) / (_FULL_AT - _SHOWN_FROM), 0, 1)
        layers["consistency"] = _overlay(0.8 * strength, _TOO_BRIGHT, _TOO_DARK, z < 0)
    if "sr-deviation" in result.maps:
        share = cut(result.maps["sr-deviation"]) / (_MOST_DEVIATION * windows[1][1])
        layers["deviation"] = _overlay(0.8 * np.clip(share, 0, 1), _UNSURE)
    if "cortex-entropy" in result.maps:
        layers["entropy"] = _overlay(0.8 * cut(result.maps["cortex-entropy"]), _UNSURE)
    name, (row, column) = _plane_of(slab)
    return Plane(name, round(sr.shape[1] * column, 2), round(sr.shape[0] * row, 2), layers)


def _upright(slab: sitk.Image) -> np.ndarray:
    """One layer as seen by radiologists: anterior or superior up, the patient's right at the left; (rows, columns)."""
    oriented = sitk.DICOMOrient(slab, "LPS")
    axis = oriented.GetSize().index(1)
    pixels = np.take(sitk.GetArrayFromImage(oriented), 0, axis=2 - axis)
    return pixels if axis == 2 else pixels[::-1]


def _plane_of(slab: Grid) -> tuple[str, tuple[float, float]]:
    """The name of a layer's plane, and mm of a row and of a column."""
    oriented = sitk.DICOMOrient(slab.image(np.zeros(slab.shape, np.uint8)), "LPS")
    axis, spacing = oriented.GetSize().index(1), oriented.GetSpacing()
    across, down = (k for k in range(3) if k != axis)
    return _NAMES[axis], (spacing[down], spacing[across])


def _window(image: sitk.Image) -> tuple[float, float]:
    array = sitk.GetArrayViewFromImage(image)
    positive = array[array > 0]
    return min(float(np.percentile(array, 0.5)), 0.0), float(np.percentile(positive, 99.5)) if positive.size else 1.0


def _edge(inside: np.ndarray) -> np.ndarray:
    """Pixels inside with a neighbour outside."""
    padded = np.pad(inside, 1)
    neighbours = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~neighbours


def _grey(pixels: np.ndarray, window: tuple[float, float]) -> str:
    low, high = window
    values = np.clip((pixels - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    return _encoded(require("PIL.Image", extra="report").fromarray(values), "JPEG", quality=_JPEG_QUALITY)


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
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
