"""Pictures of results: three planes through the brain, one column a volume, the cortex or all classes as outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..inference.enhancement import Enhancement
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.optional import require

_PLANES = ("axial", "coronal", "sagittal")
_OUTLINES = ("#ff5d3b", "#3bc8ff", "#ffd23b", "#7dff6b", "#d97bff")  # of label 1, 2 ...; then again
_MASK_LABEL = 2  # its outline has another colour than that of the cortex
_MARGIN = 12.0  # mm shown around the outline


@dataclass(frozen=True)
class Column:
    """One column of a picture: a volume, its title, and optionally a label map to outline."""

    title: str
    image: sitk.Image
    outline: sitk.Image | None = None


def draw_enhancement(image: sitk.Image, result: Enhancement, path: str | Path, name: str) -> None:
    """The quality-control picture of one result: input with the brain mask, super-resolution, labels outlined on it.

    Args:
        image: the input. result: what `enhance` made of it.
        path: a .png file. name: of the result.
    """
    mask = None if result.mask is None else result.mask * _MASK_LABEL
    columns = [Column("input" if mask is None else "input, brain", image, mask), Column("super-resolved", result.sr)]
    if result.labels is not None:
        title = next(iter(result.probabilities)) if len(result.probabilities) == 1 else "segmentation"
        columns.append(Column(title, result.sr, result.labels))
    draw_planes(columns, path, name)


def draw_planes(columns: Sequence[Column], path: str | Path, title: str) -> None:
    """Draw axial, coronal and sagittal planes of volumes that share a field of view.

    Anatomy as radiologists see it: the patient's right at the left, anterior and superior up. The planes go through
    the middle of the first outline and show what is around it; without an outline, the whole field of view.

    Args:
        columns: one or more.
        path: a .png file.
        title: of the picture.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    figure_type = require("matplotlib.figure", extra="report").Figure
    oriented = [Column(c.title, _upright(c.image), c.outline and _upright(c.outline)) for c in columns]
    focus, box = _focus_and_box(oriented)
    width, depth, height = box[1] - box[0]
    ratios = [depth / width, height / width, height / depth]
    figure = figure_type((3.1 * len(columns), 3.1 * sum(ratios) + 0.9), facecolor="black", layout="constrained")
    axes = figure.subplots(3, len(columns), squeeze=False, gridspec_kw={"height_ratios": ratios})
    for k, column in enumerate(oriented):
        for row, axis in enumerate((2, 1, 0)):
            _draw_plane(axes[row][k], column, axis, focus, box)
        axes[0][k].set_title(column.title, color="white", fontsize=11)
    for row, plane in enumerate(_PLANES):
        axes[row][0].set_ylabel(plane, color="white", fontsize=10)
    figure.suptitle(title, color="white", fontsize=12)
    figure.text(0.5, -0.01, RESEARCH_USE_ONLY, color="gray", fontsize=7, ha="center", va="top")
    figure.savefig(path, dpi=100, facecolor="black", bbox_inches="tight", format="png")


def _upright(image: sitk.Image) -> sitk.Image:
    """The volume with its axes in the order and sense closest to LPS."""
    return sitk.DICOMOrient(image, "LPS")


def _draw_plane(axes: Any, column: Column, axis: int, focus: np.ndarray, box: np.ndarray) -> None:
    plane, extent = _plane(column.image, axis, focus)
    low, high = _window(column.image)
    axes.imshow(plane, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
    if column.outline is not None:
        labels, extent = _plane(column.outline, axis, focus)
        for label in np.unique(labels[labels > 0]).astype(int):
            colour, inside = _OUTLINES[(label - 1) % len(_OUTLINES)], labels == label
            if not inside.all():
                axes.contour(inside, levels=[0.5], colors=colour, linewidths=0.7, extent=extent, origin="upper")
    across, down = [k for k in range(3) if k != axis]
    axes.set_xlim(box[0, across], box[1, across])
    axes.set_ylim(*(box[:, down] if down == 2 else box[::-1, down]))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _plane(image: sitk.Image, axis: int, focus: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """The slice across `axis` (x, y, z) nearest to the focus, and its place (left, right, bottom, top) in mm."""
    size, spacing = image.GetSize(), image.GetSpacing()
    index = int(np.clip(np.floor(focus[axis] / spacing[axis]), 0, size[axis] - 1))
    plane = np.take(sitk.GetArrayViewFromImage(image), index, axis=2 - axis).astype(np.float32)
    across, down = [k for k in range(3) if k != axis]
    width, height = size[across] * spacing[across], size[down] * spacing[down]
    if down == 2:  # superior up: z grows upwards
        return plane[::-1], (0, width, 0, height)
    return plane, (0, width, height, 0)


def _focus_and_box(columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray]:
    """Where to cut, and what to show, in mm from the near faces.

    Returns:
        A point (x, y, z), and the lower and upper corner of a box, (2, 3).
    """
    first = columns[0].image
    whole = np.array([np.zeros(3), np.array(first.GetSize()) * first.GetSpacing()])
    outline = next((c.outline for c in columns if c.outline is not None), None)
    if outline is None or not sitk.GetArrayViewFromImage(outline).any():
        return whole.mean(axis=0), whole
    voxels = np.nonzero(sitk.GetArrayViewFromImage(outline))
    # the outermost half percent may be stray voxels
    corners = np.array([np.percentile(v, (0.5, 99.5)) for v in reversed(voxels)]).T * outline.GetSpacing()
    focus = corners.mean(axis=0) + (0.06 * np.diff(corners[:, 0])[0], 0, 0)  # beside the midline, where the cortex is
    return focus, np.clip(corners + np.array([[-_MARGIN], [_MARGIN]]), whole[0], whole[1])


def _window(image: sitk.Image) -> tuple[float, float]:
    """Grey levels up to the 99.5th percentile of the positive voxels; interpolation's undershoots count as dark."""
    array = sitk.GetArrayViewFromImage(image)
    positive = array[array > 0]
    return (float(min(np.percentile(array, 0.5), 0)), float(np.percentile(positive, 99.5)) if positive.size else 1.0)
