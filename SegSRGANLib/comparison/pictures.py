"""A picture a volume and factor, like the paper's Fig. 1: volumes, details, errors, and the cortex as outlines."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.optional import require
from ..visualization.palette import system_colour
from .plan import TRUE_RESOLUTION, Plan, Row, Task
from .store import ACROSS, Store
from .systems import BAND_LIMITED, HR, SPLINE

_SHOWN = ("coronal", "axial")  # the first that shows the slices from the side
_DETAIL, _DETAIL_LEFT, _DETAIL_TOP = 0.44, 0.53, 0.15  # width and place of the detail, of the plane
_MOST_ERROR = 0.15  # of the largest intensity: the end of the error maps' colours
_WIDTH, _COLUMNS = 2.1, 5  # inches of a panel; panels in a row
_NAMES = {SPLINE: "spline", BAND_LIMITED: "band-limited truth", "srrecnn": "SRReCNN"}
_NAMES |= {"segsrgan-paper": "SegSRGAN (paper)", "segsrgan": "SegSRGAN", "segsrgan+consistency": "SegSRGAN, consistent"}
_NAMES |= {"majority": "majority", "imapa": "IMAPA", "drawem": "DrawEM"}


@dataclass(frozen=True)
class _Panel:
    """One column: its title, and a plane ("image", "labels" and "aspect", as far as there are any)."""

    title: str
    plane: dict[str, Any]
    colour: str


def picture_path(outdir: Path, subject: str, factor: float) -> Path:
    """Where the picture of a volume at a factor goes."""
    return outdir / "pictures" / f"{subject}_factor-{factor:g}.png"


def is_drawn(plan: Plan, task: Task, factor: float) -> bool:
    """Whether the picture of a volume is there and shows the results of this plan, no others and all of them."""
    path = picture_path(plan.options.outdir, task.key, factor)
    return path.is_file() and _digest(plan, task, factor).encode() in path.read_bytes()


def draw_grid(plan: Plan, task: Task, factor: float) -> None:
    """Draw what every system made of one volume; systems that failed are left out.

    Raises:
        MissingPackage: matplotlib is not installed. VolumeError: the file cannot be written.
    """
    store = Store(plan.options.outdir)
    planes = store.read_planes(task.key, Row(factor, HR))
    if planes is None:
        return
    name = next(name for name in _SHOWN if name != str(planes.get(ACROSS, "")))
    truth = _named(planes, name)
    restored = [Row(factor, method.name) for method in plan.systems.methods]
    volumes = [_Panel("high resolution", truth, system_colour(HR)), *_panels(store, task, restored, name)]
    outlines = [panel for panel in _panels(store, task, _rows(plan, factor), name) if "labels" in panel.plane]
    shown = outlines if "labels" in truth else []
    figure = _draw(volumes, shown, truth, f"{task.key}, slices {factor:g} times as thick as the voxels")
    with atomic_path(picture_path(plan.options.outdir, task.key, factor)) as temporary:
        made_of = {"Source": _digest(plan, task, factor)}
        figure.savefig(temporary, dpi=150, bbox_inches="tight", format="png", metadata=made_of)


def _rows(plan: Plan, factor: float) -> list[Row]:
    return [row for row in plan.rows() if row.factor in (factor, TRUE_RESOLUTION)]


def _digest(plan: Plan, task: Task, factor: float) -> str:
    """Of everything that a picture shows; it stands in the picture's file."""
    keys = [plan.key(row, task.digest) for row in _rows(plan, factor)]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()


def _named(planes: dict[str, Any], name: str) -> dict[str, Any]:
    """One plane of a volume and of its segmentation."""
    keys = {"image": name, "labels": f"{name}_labels", "aspect": f"aspect_{name}"}
    return {key: planes[stored] for key, stored in keys.items() if stored in planes}


def _panels(store: Store, task: Task, rows: list[Row], name: str) -> list[_Panel]:
    panels = []
    for row in rows:
        planes = store.read_planes(task.key, row)
        if planes is not None:
            panels.append(_Panel(_title(row), _named(planes, name), system_colour(row.title)))
    return panels


def _title(row: Row) -> str:
    name = _NAMES.get(row.system, row.system)
    return f"{name} on {_NAMES.get(row.source, row.source)}" if row.source else name


def _draw(volumes: list[_Panel], outlines: list[_Panel], truth: dict[str, Any], title: str) -> Any:
    """Rows: volumes, details, errors, outlines on the detail of the true volume."""
    columns = max(len(volumes), min(len(outlines), _COLUMNS))
    view = _View.of(truth)
    heights = [view.whole, view.detail, view.whole, *[view.detail] * -(-len(outlines) // columns)]
    engine = require("matplotlib.layout_engine", extra="report").ConstrainedLayoutEngine(
        w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.0
    )
    size = (columns * _WIDTH + 0.7, sum(heights) * _WIDTH + 0.2 * (len(heights) - 1) + 0.3)
    figure = require("matplotlib.figure", extra="report").Figure(size, layout=engine)
    grid = figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis in grid.flat:
        axis.set_axis_off()
    for row, name in enumerate(("volume", "detail", "error", *["cortex"] * (len(heights) - 3))):
        grid[row][0].text(-0.04, 0.5, name, transform=grid[row][0].transAxes, rotation=90, ha="right", va="center")
    for k, panel in enumerate(volumes):
        _draw_volume(grid[:3, k], panel, view)
    for k, panel in enumerate(outlines):
        _draw_outline(grid[3 + k // columns][k % columns], panel, view)
    if len(volumes) > 1:
        bar = figure.colorbar(grid[2][1].images[0], ax=list(grid[2]), shrink=0.8, aspect=14, pad=0.01)
        bar.set_label("|error| / maximum", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.text(0.995, -0.005, RESEARCH_USE_ONLY, color="gray", fontsize=6, ha="right", va="top")
    return figure


@dataclass(frozen=True)
class _View:
    """What is shown of the true plane: its pixels, cortex or None, the detail's box, grey window, height by width."""

    reference: np.ndarray
    cortex: np.ndarray | None
    box: tuple[slice, slice]
    aspect: float
    white: float

    @classmethod
    def of(cls, truth: dict[str, Any]) -> _View:
        """Look at the true plane; the detail is the hemisphere at the right of the picture."""
        reference = truth["image"].astype(np.float32)
        rows, columns = reference.shape
        aspect = float(truth["aspect"])
        tall = min(rows, round(_DETAIL * columns / aspect))
        top = round(_DETAIL_TOP * (rows - tall))
        left = round(_DETAIL_LEFT * columns)
        box = (slice(top, top + tall), slice(left, left + round(_DETAIL * columns)))
        bright = reference[reference > 0.02]
        white = float(np.percentile(bright, 99.7)) if bright.size else 1.0
        return cls(reference, truth.get("labels"), box, aspect, white)

    @property
    def whole(self) -> float:
        """Height of the whole plane, in its widths."""
        return self.reference.shape[0] * self.aspect / self.reference.shape[1]

    @property
    def detail(self) -> float:
        """Height of the detail, in its widths."""
        rows, columns = (s.stop - s.start for s in self.box)
        return rows * self.aspect / columns

    def show(self, axis: Any, plane: np.ndarray) -> None:
        """Draw a plane in the grey window of the truth."""
        axis.imshow(plane, cmap="gray", vmin=0, vmax=self.white, aspect=self.aspect, interpolation="nearest")


def _draw_volume(axes: Any, panel: _Panel, view: _View) -> None:
    """A column: the plane with the place of the detail, the detail, the error; for the truth, its cortex instead."""
    plane = panel.plane["image"].astype(np.float32)
    rows, columns = view.box
    view.show(axes[0], plane)
    axes[0].set_title(panel.title, fontsize=9, pad=3)
    patch = require("matplotlib.patches", extra="report").Rectangle(
        (columns.start - 0.5, rows.start - 0.5), columns.stop - columns.start, rows.stop - rows.start,
        fill=False, edgecolor="white", linewidth=0.6,
    )  # fmt: skip
    axes[0].add_patch(patch)
    view.show(axes[1], plane[view.box])
    if panel.colour != system_colour(HR):
        error = np.abs(plane - view.reference)
        axes[2].imshow(error, cmap="inferno", vmin=0, vmax=_MOST_ERROR, aspect=view.aspect, interpolation="nearest")
    else:
        view.show(axes[2], plane)
        _contour(axes[2], view.cortex, system_colour(HR), 0.7)
        axes[2].set_title("true cortex", fontsize=8, color=system_colour(HR), pad=3)


def _draw_outline(axis: Any, panel: _Panel, view: _View) -> None:
    """The detail of the true volume, with the true cortex and a system's."""
    view.show(axis, view.reference[view.box])
    for labels, line, width in (
        (view.cortex, system_colour(HR), 0.9),
        (panel.plane["labels"], panel.colour, 1.2),
    ):
        _contour(axis, None if labels is None else labels[view.box], line, width)
    axis.set_title(panel.title, fontsize=8, pad=3)


def _contour(axis: Any, labels: np.ndarray | None, line: str, width: float) -> None:
    if labels is not None and labels.any() and not labels.all():
        axis.contour(labels, levels=[0.5], colors=line, linewidths=width)
