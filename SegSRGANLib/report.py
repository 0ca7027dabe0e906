"""Pictures of results: three planes through the brain, one column a volume, the cortex as an outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .optional import require
from .provenance import RESEARCH_USE_ONLY

_PLANES = ("axial", "coronal", "sagittal")
_OUTLINE = "#ff5d3b"


@dataclass(frozen=True)
class Column:
    """One column of a picture: a volume, its title, and optionally a label map to outline."""

    title: str
    image: sitk.Image
    outline: sitk.Image | None = None


def draw_enhancement(image: sitk.Image, sr: sitk.Image, labels: sitk.Image | None, path: str | Path, name: str) -> None:
    """The quality-control picture of one result: input, super-resolution, and the cortex outlined on it."""
    columns = [Column("input", image), Column("super-resolved", sr)]
    if labels is not None:
        columns.append(Column("cortex", sr, labels))
    draw_planes(columns, path, name)


def draw_planes(columns: Sequence[Column], path: str | Path, title: str) -> None:
    """Draw axial, coronal and sagittal planes of volumes that share a field of view.

    Anatomy as radiologists see it: the patient's right at the left, anterior and superior up. The planes go through
    the middle of the first outline, or of the bright voxels of the last volume.

    Args:
        columns: one or more.
        path: a .png file.
        title: of the picture.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    figure_type = require("matplotlib.figure", extra="report").Figure
    oriented = [
        (c, sitk.DICOMOrient(c.image, "LPS"), c.outline and sitk.DICOMOrient(c.outline, "LPS")) for c in columns
    ]
    focus = _focus(oriented)
    window = [_window(image) for _, image, _ in oriented]
    figure = figure_type(figsize=(3.1 * len(columns), 9.6), facecolor="black", layout="constrained")
    axes = figure.subplots(3, len(columns), squeeze=False)
    for k, (column, image, outline) in enumerate(oriented):
        for row, axis in enumerate((2, 1, 0)):
            _draw_plane(axes[row][k], image, outline, axis, focus, window[k])
        axes[0][k].set_title(column.title, color="white", fontsize=11)
    for row, plane in enumerate(_PLANES):
        axes[row][0].set_ylabel(plane, color="white", fontsize=10)
    figure.suptitle(title, color="white", fontsize=12)
    figure.text(0.5, -0.01, RESEARCH_USE_ONLY, color="gray", fontsize=7, ha="center", va="top")
    figure.savefig(path, dpi=100, facecolor="black", bbox_inches="tight", format="png")


def _draw_plane(
    axes: Any, image: sitk.Image, outline: sitk.Image | None, axis: int, focus: np.ndarray, window: tuple[float, float]
) -> None:
    plane, extent = _plane(image, axis, focus)
    axes.imshow(plane, cmap="gray", vmin=window[0], vmax=window[1], extent=extent, interpolation="nearest")
    if outline is not None:
        labels, box = _plane(outline, axis, focus)
        if labels.any() and not labels.all():
            axes.contour(labels > 0, levels=[0.5], colors=_OUTLINE, linewidths=0.7, extent=box, origin="upper")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _plane(image: sitk.Image, axis: int, focus: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """The slice across `axis` (x, y, z) nearest to the focus, and its box (left, right, bottom, top) in mm."""
    size, spacing = image.GetSize(), image.GetSpacing()
    index = int(np.clip(np.floor(focus[axis] / spacing[axis]), 0, size[axis] - 1))
    plane = np.take(sitk.GetArrayViewFromImage(image), index, axis=2 - axis)
    across, down = [k for k in range(3) if k != axis]
    width, height = size[across] * spacing[across], size[down] * spacing[down]
    if down == 2:  # superior up: z grows upwards
        plane = plane[::-1]
    return np.asarray(plane, np.float32), (0, width, height, 0)


def _focus(oriented: Sequence[tuple[Column, sitk.Image, sitk.Image | None]]) -> np.ndarray:
    """A point inside the brain, in mm from the near faces (x, y, z)."""
    outlines = [
        outline for _, _, outline in oriented if outline is not None and sitk.GetArrayViewFromImage(outline).any()
    ]
    image = outlines[0] if outlines else oriented[-1][1]
    array = sitk.GetArrayViewFromImage(image)
    bright = array > 0 if outlines else array > np.percentile(array, 75)
    centre = [float(v.mean()) + 0.5 if len(v) else n / 2 for v, n in zip(np.nonzero(bright), array.shape, strict=True)]
    return np.array(centre[::-1]) * np.array(image.GetSpacing()) + np.array([4.0, 0.0, 0.0])  # beside the midline


def _window(image: sitk.Image) -> tuple[float, float]:
    """Grey levels up to the 99.5th percentile of the positive voxels; interpolation's undershoots count as dark."""
    array = sitk.GetArrayViewFromImage(image)
    positive = array[array > 0]
    return (float(min(np.percentile(array, 0.5), 0)), float(np.percentile(positive, 99.5)) if positive.size else 1.0)
