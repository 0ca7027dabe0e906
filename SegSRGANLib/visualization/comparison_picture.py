"""Three planes through the brain, one column a volume, the cortex or all classes as outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.classes import CORTEX
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.optional import require
from .palette import class_colours
from .planes import PLANES, cut_plane, extent, grey_window, upright

_CORTEX_ALONE = class_colours([CORTEX])
_MARGIN = 12.0  # mm shown around the outline


@dataclass(frozen=True)
class Column:
    """One column of a picture: a volume, its title, and optionally a label map to outline.

    colours: of the outlines of label 1, 2 ...; then again.
    """

    title: str
    image: sitk.Image
    outline: sitk.Image | None = None
    colours: tuple[str, ...] = _CORTEX_ALONE


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
    oriented = [replace(c, image=upright(c.image), outline=c.outline and upright(c.outline)) for c in columns]
    focus, box = _focus_and_box(oriented)
    width, depth, height = box[1] - box[0]
    ratios = [depth / width, height / width, height / depth]
    figure = figure_type((3.1 * len(columns), 3.1 * sum(ratios) + 0.9), facecolor="black", layout="constrained")
    axes = figure.subplots(3, len(columns), squeeze=False, gridspec_kw={"height_ratios": ratios})
    for k, column in enumerate(oriented):
        for row, axis in enumerate((2, 1, 0)):
            _draw_plane(axes[row][k], column, axis, focus, box)
        axes[0][k].set_title(column.title, color="white", fontsize=11, parse_math=False)
    for row, name in enumerate(reversed(PLANES)):
        axes[row][0].set_ylabel(name, color="white", fontsize=10)
    figure.suptitle(title, color="white", fontsize=12, parse_math=False)  # a "$" in a name is no mathematics
    figure.text(0.5, -0.01, RESEARCH_USE_ONLY, color="gray", fontsize=7, ha="center", va="top")
    figure.savefig(path, dpi=100, facecolor="black", bbox_inches="tight", format="png")


def _draw_plane(axes: Any, column: Column, axis: int, focus: np.ndarray, box: np.ndarray) -> None:
    plane, place = _plane(column.image, axis, focus)
    low, high = grey_window(column.image)
    axes.imshow(plane, cmap="gray", vmin=low, vmax=high, extent=place, interpolation="nearest")
    if column.outline is not None:
        labels, place = _plane(column.outline, axis, focus)
        for label in np.unique(labels[labels > 0]).astype(int):
            colour, inside = column.colours[(label - 1) % len(column.colours)], labels == label
            if not inside.all():
                axes.contour(inside, levels=[0.5], colors=colour, linewidths=0.7, extent=place, origin="upper")
    across, down = [k for k in range(3) if k != axis]
    axes.set_xlim(box[0, across], box[1, across])
    axes.set_ylim(*(box[:, down] if down == 2 else box[::-1, down]))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _plane(image: sitk.Image, axis: int, focus: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """The plane across `axis` (x, y, z) nearest to the focus, and its place (left, right, bottom, top) in mm."""
    index = int(np.clip(np.floor(focus[axis] / image.GetSpacing()[axis]), 0, image.GetSize()[axis] - 1))
    plane = cut_plane(image, axis, index)
    height, width = np.array(plane.pixels.shape) * plane.spacing
    return plane.pixels, (0, width, height, 0) if axis == 2 else (0, width, 0, height)


def _focus_and_box(columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray]:
    """Where to cut, and what to show, in mm from the near faces.

    Returns:
        A point (x, y, z), and the lower and upper corner of a box, (2, 3).
    """
    first = columns[0].image
    whole = np.array([np.zeros(3), np.array(first.GetSize()) * first.GetSpacing()])
    outline = next((c.outline for c in columns if c.outline is not None), None)
    shown = None if outline is None else extent(outline)
    if outline is None or shown is None:
        return whole.mean(axis=0), whole
    corners = shown * outline.GetSpacing()
    focus = corners.mean(axis=0) + (0.06 * np.diff(corners[:, 0])[0], 0, 0)  # beside the midline, where the cortex is
    return focus, np.clip(corners + np.array([[-_MARGIN], [_MARGIN]]), whole[0], whole[1])
