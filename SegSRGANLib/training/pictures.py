"""Pictures of a training: its curves, and slices of a test volume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..utils.atomic_files import atomic_path
from ..utils.optional import require
from ..visualization.palette import class_colours
from ..visualization.planes import cut_plane
from .history import Row
from .validation import ValidationCase, predicted_labels


def draw_curves(path: Path, rows: list[Row]) -> None:
    """Loss, PSNR, SSIM and Dice over the epochs, the spline as a dashed line."""
    figure = _figure(12, 3)
    panels = (("loss", None), ("psnr", "psnr_spline"), ("ssim", "ssim_spline"), ("dice", None))
    for index, (name, spline) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        _curve(axes, rows, name, "-")
        if spline is not None:
            _curve(axes, rows, spline, "--")
        axes.set_title(f"{name.upper()} (dB)" if name == "psnr" else name.capitalize())
        axes.set_xlabel("epoch")
        if axes.lines and len(axes.lines) > 1:
            axes.legend(["network", "spline"], fontsize="small")
        axes.grid(alpha=0.3)
    _save(figure, path)


def draw_example(path: Path, case: ValidationCase, predicted: np.ndarray) -> None:
    """Interpolation, network, truth and segmentation in the two planes that cross the thick slices.

    Args:
        path: a .png file.
        case: the test volume.
        predicted: (C, z, y, x) of the network.
    """
    low, truth = case.interpolated.numpy() * case.scale, case.reference
    wanted = case.subject.class_table[case.subject.labels]
    labels = predicted_labels(case.subject, predicted)
    columns: list[tuple[str, np.ndarray, np.ndarray | None]] = [
        ("spline", low, None),
        ("network", predicted[0] * case.scale, None),
        ("truth", truth, None),
    ]
    if labels is not None:
        columns += [("segmentation", truth, labels), ("true segmentation", truth, wanted)]
    colours = class_colours(tuple(case.subject.wanted))
    _, y, x = (int(v.mean()) for v in np.nonzero(wanted))
    figure = _figure(3 * len(columns), 6)
    for column, (title, volume, contour) in enumerate(columns):
        for row, (axis, index) in enumerate(((1, y), (0, x))):
            axes = figure.add_subplot(2, len(columns), row * len(columns) + column + 1)
            axes.imshow(_plane(volume, axis, index), cmap="gray", vmin=0, vmax=1)
            labels_here = np.zeros((1, 1)) if contour is None else _plane(contour, axis, index)
            for number in np.unique(labels_here[labels_here > 0]):
                axes.contour(labels_here == number, [0.5], colors=colours[number - 1], linewidths=0.7)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title)
    _save(figure, path)


def _plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Of a training subject's array, which is upright (see `data.loading`)."""
    return cut_plane(sitk.GetImageFromArray(volume), axis, index).pixels


def _curve(axes: Any, rows: list[Row], name: str, style: str) -> None:
    points = [(row.epoch, getattr(row, name)) for row in rows if getattr(row, name) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), style, marker="." if len(points) < 20 else None)


def _figure(width: float, height: float) -> Any:
    return require("matplotlib.figure", extra="report").Figure((width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
