"""Slices that make one regular stack, and its grid; a missing, doubled, tilted or foreign slice is an error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...data.axes import orthonormal_axes
from ...data.grid import Grid
from ...utils.errors import VolumeError

_SAME_PLACE = 0.01  # mm
_REGULAR = 0.05  # mm a slice may lie off its place in the stack: positions are rounded to 0.01 mm or finer
_DRIFT = 0.1  # mm that the last slice may be shifted in its plane against the first
_DECIMALS = 9  # of mm: removes the noise of averaging equal decimal numbers
_SAME = 1e-3  # direction cosines, and fraction of the pixel spacing


@dataclass(frozen=True)
class Slice:
    """One file of a series.

    uid, description: of the series. number, images: of the slice, and of all slices of the acquisition, 0 where the
    file does not say. grid: with one voxel along z. enhanced: the file holds the whole volume, see `multi_frame`.
    problem: what keeps it from being a slice of a volume, which only matters when its series is the one to read.
    distance: of slices, mm, as the scanner says it, 0 where it does not. rescaling: slope and intercept. padding: the
    stored numbers, from and to, that are no measurement.
    """

    file: Path
    uid: str
    description: str
    number: int
    images: int
    grid: Grid
    enhanced: bool
    problem: str | None
    distance: float = 0.0
    rescaling: tuple[float, float] = (1.0, 0.0)
    padding: tuple[int, int] | None = None

    @property
    def axes(self) -> np.ndarray:
        """(3, 3), the columns are the directions of a row, of a column and of the slice's normal."""
        return np.array(self.grid.direction).reshape(3, 3)

    @property
    def position(self) -> np.ndarray:
        return np.array(self.grid.origin)


def stack(slices: Iterable[Slice], name: str) -> tuple[Grid, list[Slice]]:
    """The grid of the volume, and its slices in the order of that grid's z axis.

    The normal is the cross product of rows and columns, so the volume is always right-handed. Origin and step are the
    least-squares line through all positions, which averages the rounding of the header.
    """
    slices = list(slices)
    _check_alike(slices, name)
    axes = orthonormal_axes(_unit(np.mean([s.axes for s in slices], axis=0)), name)
    normal = axes[:, 2]
    slices.sort(key=lambda s: float(s.position @ normal))
    positions = np.array([s.position for s in slices])
    if len(slices) < 2:
        raise VolumeError(f"{name} holds a series of a single slice, and a volume is needed: give all its slices.")
    _check_gaps(positions @ normal, slices, name)
    index = np.arange(len(slices))
    step, origin = np.polyfit(index, positions, 1)
    spacing = float(step @ normal)
    drift = float(np.linalg.norm(step - spacing * normal)) * (len(slices) - 1)
    if drift > _DRIFT:
        raise VolumeError(
            f"{name} has slices that are shifted against each other by {drift:.2f} mm in all (a tilted stack): "
            "resample it onto a rectangular grid first."
        )
    in_plane = np.mean([s.grid.spacing[:2] for s in slices], axis=0)
    grid = Grid(
        size=(*slices[0].grid.size[:2], len(slices)),
        spacing=tuple(np.round([*in_plane, spacing], _DECIMALS).tolist()),
        origin=tuple(np.round(origin, _DECIMALS).tolist()),
        direction=tuple(axes.ravel().tolist()),
    )
    return grid, slices


def _unit(axes: np.ndarray) -> np.ndarray:
    return axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)


def _check_alike(slices: list[Slice], name: str) -> None:
    """All slices have the first one's size, pixel spacing and orientation."""
    first = slices[0]
    for other in slices[1:]:
        if other.grid.size != first.grid.size:
            what = "size"
        elif not np.allclose(other.grid.spacing[:2], first.grid.spacing[:2], rtol=_SAME):
            what = "pixel spacing"
        elif not np.allclose(other.grid.direction, first.grid.direction, atol=_SAME):
            what = "orientation"
        else:
            continue
        raise VolumeError(
            f"{name} mixes slices of different {what} in one series ({first.file.name} and {other.file.name}): "
            "give a folder with the slices of one stack."
        )


def _check_gaps(heights: np.ndarray, slices: list[Slice], name: str) -> None:
    """The slices, sorted, lie at regular heights (mm along the normal)."""
    gaps = np.diff(heights)
    if gaps.min() < _SAME_PLACE:
        k = int(gaps.argmin())
        raise VolumeError(
            f"{name} has two slices at one position ({slices[k].file.name} and {slices[k + 1].file.name}), like "
            "several echoes or repetitions in one series: give a folder with one of them."
        )
    usual = float(np.median(gaps))
    k = int(gaps.argmax())
    if gaps[k] > 1.5 * usual:
        places = " and ".join(_place(one) for one in slices[k : k + 2])
        raise VolumeError(
            f"{name} lacks {round(gaps[k] / usual) - 1} slice(s) between {places}: {gaps[k]:.2f} mm apart where others "
            f"are {usual:.2f} mm; copy the missing files."
        )
    index = np.arange(len(heights))
    off = np.abs(heights - np.polyval(np.polyfit(index, heights, 1), index))
    if off.max() > _REGULAR:
        raise VolumeError(
            f"{name} has slices at irregular distances ({gaps.min():.2f} to {gaps.max():.2f} mm): "
            "resample the series onto a regular grid first."
        )


def _place(one: Slice) -> str:
    return f"{one.file.name} at ({', '.join(f'{p:.2f}' for p in one.grid.origin)})"
