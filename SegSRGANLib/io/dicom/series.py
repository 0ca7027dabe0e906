"""A folder of DICOM slices as one volume, its geometry taken from all slices.

SimpleITK stacks the files it is given, in their order, whatever lies between them. Here the slices are sorted by their
position along the normal, and a missing, doubled, tilted or foreign slice is an error.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...data.axes import orthonormal_axes
from ...data.grid import Grid
from ...utils.errors import VolumeError
from ..payload import shown
from .integrity import check_elements

_logger = logging.getLogger(__name__)

_IMAGE_IO = "GDCMImageIO"
_SERIES_UID, _DESCRIPTION = "0020|000e", "0008|103e"
_GEOMETRY_TAGS = {"0020|0032": "position", "0020|0037": "orientation", "0028|0030": "pixel spacing"}
# A file of these classes that cannot be read is a lost slice: MR, enhanced MR, CT, or damaged beyond telling.
_SLICE_CLASSES = (*(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("4", "4.1", "4.3", "4.4", "2")), "")
_SAME_PLACE = 0.01  # mm
_REGULAR = 0.05  # mm a slice may lie off its place in the stack: positions are rounded to 0.01 mm or finer
_DRIFT = 0.1  # mm that the last slice may be shifted in its plane against the first
_FARTHEST = 1e6  # mm, of a position
_DECIMALS = 9  # of mm: removes the noise of averaging equal decimal numbers
_SAME = 1e-3  # direction cosines, and fraction of the pixel spacing


@dataclass(frozen=True)
class _Slice:
    """One file of a series.

    uid, description: of the series. grid: with one voxel along z. problem: what keeps it from being a slice of a
    volume, which only matters when its series is the one to read.
    """

    file: Path
    uid: str
    description: str
    grid: Grid
    problem: str | None

    @property
    def axes(self) -> np.ndarray:
        """(3, 3), the columns are the directions of a row, of a column and of the slice's normal."""
        return np.array(self.grid.direction).reshape(3, 3)

    @property
    def position(self) -> np.ndarray:
        return np.array(self.grid.origin)


def is_dicom_file(path: Path) -> bool:
    """Whether a file has the mark of DICOM behind its preamble."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom_series(path: Path, series: str | None = None) -> sitk.Image:
    """Read the slices of one DICOM series as a 3D float32 image (LPS, mm), with the scanner's rescaling applied.

    Args:
        path: the folder (its subfolders are not searched), or one file of the series, which then chooses it.
        series: UID or description of the series; needed when the folder holds several.

    Raises:
        VolumeError: no series, several and none chosen, or slices that do not make a regular stack.
        OSError: the folder cannot be read.
    """
    grid, slices = _sorted_slices(path, series)
    values = np.empty(grid.shape, np.float32)
    with np.errstate(over="ignore"):  # what becomes infinite is reported with the other values
        for plane, one in zip(values, slices, strict=True):
            plane[:] = _pixels(one)
    return grid.image(values)


def series_files(path: Path, series: str | None = None) -> list[Path]:
    """The files that `read_dicom_series` reads, in the order of the volume's slices; it raises the same errors."""
    return [one.file for one in _sorted_slices(path, series)[1]]


def _sorted_slices(path: Path, series: str | None) -> tuple[Grid, list[_Slice]]:
    folder = path if path.is_dir() else path.parent
    found = _find_series(folder)
    if path.is_file() and series is None:
        series = _read_slice(path).uid
    slices = _choose(found, series, folder.name)
    for one in slices:
        if one.problem:
            raise VolumeError(f"{one.file.name} {one.problem}.")
    return _stack(slices, folder.name)


def _pixels(one: _Slice) -> np.ndarray:
    """The pixels of one slice, (y, x); each file has its own rescaling, which SimpleITK applies."""
    try:
        image = sitk.ReadImage(str(one.file), imageIO=_IMAGE_IO)
    except RuntimeError as error:
        raise VolumeError(f"{one.file.name} is a damaged DICOM file: copy it again.") from error
    return sitk.GetArrayFromImage(image).reshape(one.grid.size[1], one.grid.size[0])


def _find_series(folder: Path) -> dict[str, list[_Slice]]:
    """The slices in a folder by series UID; files that are no images are skipped."""
    found = defaultdict(list)
    for file in sorted(folder.iterdir()):
        if not (file.is_file() and is_dicom_file(file)):
            continue
        try:
            one = _read_slice(file)
        except VolumeError:
            if _storage_class(file) in _SLICE_CLASSES:
                raise
            _logger.warning("%s is a DICOM file without a readable image: skipped.", file.name)
            continue
        found[one.uid].append(one)
    if not found:
        raise VolumeError(
            f"{folder.name} holds no DICOM image: give the folder that directly holds the slices of the series."
        )
    return dict(found)


def _storage_class(file: Path) -> str:
    """What a DICOM file stores: image, report, waveform and so on; empty where it does not say."""
    with file.open("rb") as stream:
        start = stream.read(1024)
    _, _, rest = start.partition(b"\x02\x00\x02\x00UI")  # (0002,0002)
    return rest[2 : 2 + int.from_bytes(rest[:2], "little")].strip(b"\0 ").decode("ascii", "replace")


def _read_slice(file: Path) -> _Slice:
    """The header of one slice; no pixel is kept."""
    check_elements(file)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO)
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.") from error
    tags = set(reader.GetMetaDataKeys())
    if _SERIES_UID not in tags:
        raise VolumeError(f"{file.name} does not say its series: export it from the scanner again.")
    size = reader.GetSize()
    grid = Grid((size[0], size[1], 1), reader.GetSpacing()[:3], reader.GetOrigin()[:3], reader.GetDirection())
    return _Slice(
        file=file,
        uid=reader.GetMetaData(_SERIES_UID).strip(" \0"),
        description=reader.GetMetaData(_DESCRIPTION).strip() if _DESCRIPTION in tags else "",
        grid=grid,
        problem=_problem(reader, grid),
    )


def _problem(reader: sitk.ImageFileReader, grid: Grid) -> str | None:
    """Why a file cannot be a slice of a volume, to follow its name in a message; None when it can."""
    size = reader.GetSize()
    if len(size) > 2 and size[2] > 1:
        return (
            f"is a multi-frame DICOM file of {size[2]} frames, which is not read: convert it to NIfTI (dcm2niix does)"
        )
    tags = reader.GetMetaDataKeys()
    missing = [meaning for tag, meaning in _GEOMETRY_TAGS.items() if tag not in tags]
    if missing:
        return f"does not say its {missing[0]}: export it from the scanner again"
    if reader.GetNumberOfComponents() != 1:
        return "has colour pixels: give a series of grey images"
    numbers = np.array([*grid.spacing[:2], *grid.origin, *grid.direction])
    if not np.abs(numbers).max() < _FARTHEST or min(grid.spacing[:2]) <= 0:
        return "has an impossible position or pixel spacing: export it from the scanner again"
    return None


def _choose(found: dict[str, list[_Slice]], series: str | None, name: str) -> list[_Slice]:
    """The slices of the one series that is meant."""
    if series is None:  # screenshots and the like do not count beside a volume
        matching = [uid for uid, slices in found.items() if not any(s.problem for s in slices)] or list(found)
    else:
        matching = [uid for uid, slices in found.items() if series in (uid, slices[0].description)]
    if len(matching) == 1:
        return found[matching[0]]
    listed = "; ".join(
        f"'{shown(slices[0].description) or 'no description'}' ({len(slices)} slices, UID {uid})"
        for uid, slices in found.items()
    )
    if not matching:
        raise VolumeError(f"{name} holds no DICOM series '{series}': it holds {listed}.")
    raise VolumeError(
        f"{name} holds {len(found)} DICOM series: {listed}; "
        "choose one by its UID or description, or give one file of it."
    )


def _stack(slices: Iterable[_Slice], name: str) -> tuple[Grid, list[_Slice]]:
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


def _check_alike(slices: list[_Slice], name: str) -> None:
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


def _check_gaps(heights: np.ndarray, slices: list[_Slice], name: str) -> None:
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


def _place(one: _Slice) -> str:
    return f"{one.file.name} at ({', '.join(f'{p:.2f}' for p in one.grid.origin)})"
