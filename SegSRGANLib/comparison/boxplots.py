"""Box plots: how the systems did on every volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.optional import require
from ..visualization.palette import system_colour
from .tables import INTENSITY, SEGMENTATION, Measure, Table

_SHOWN = (INTENSITY[1], INTENSITY[3], SEGMENTATION[0], SEGMENTATION[2])  # in the brain; Dice and ASSD
_JITTER = 0.12


def draw_boxes(tables: Sequence[Table], path: Path) -> None:
    """Draw a row of plots a factor: PSNR and SSIM in the brain, Dice and ASSD of the cortex.

    A box goes from the first to the third quartile, with the median; every volume is a point.

    Args:
        tables: one a factor. path: a .png file.

    Raises:
        MissingPackage: matplotlib is not installed. VolumeError: the file cannot be written.
    """
    figure_type = require("matplotlib.figure", extra="report").Figure
    rows = max(len(table.titles) for table in tables)
    figure = figure_type((14, len(tables) * (0.9 + 0.24 * rows)), layout="constrained")
    grid = figure.subplots(len(tables), len(_SHOWN), squeeze=False, sharex="col")
    for axes, table in zip(grid, tables, strict=True):
        for axis, measure in zip(axes, _SHOWN, strict=True):
            _draw(axis, table, measure)
        axes[0].set_ylabel(f"factor {table.factor:g}", fontsize=11, fontweight="bold")
    for axis, measure in zip(grid[-1], _SHOWN, strict=True):
        axis.set_xlabel(measure.title)
    figure.text(0.995, -0.01, RESEARCH_USE_ONLY, color="gray", fontsize=7, ha="right", va="top")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight", format="png")


def _draw(axis: Any, table: Table, measure: Measure) -> None:
    """Horizontal boxes, so that the systems' names can be read."""
    values = {title: list(table.values(title, measure.name).values()) for title in table.titles}
    shown = {title: found for title, found in values.items() if found}
    if not shown:
        axis.set_axis_off()
        return
    boxes = axis.boxplot(
        list(shown.values()), orientation="horizontal", widths=0.62, showfliers=False, patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.4},
    )  # fmt: skip
    for place, (title, found, box) in enumerate(zip(shown, shown.values(), boxes["boxes"], strict=True), 1):
        box.set(facecolor=system_colour(title), alpha=0.55, linewidth=0.8)
        heights = [place + _JITTER * ((k % 5) - 2) / 2 for k in range(len(found))]
        axis.plot(found, heights, "o", color="black", markersize=2.2, alpha=0.6)
    axis.set_yticks(range(1, len(shown) + 1), list(shown), fontsize=8)
    axis.invert_yaxis()
    axis.grid(axis="x", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
