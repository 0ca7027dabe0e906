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
from .header import expected_bytes, is_image, missing_ends, read_header
from .integrity import Elements, check_elements
from .multi_frame import read_multi_frame
from .rle import is_rle, rle_bytes

_logger = logging.getLogger(__name__)

_IMAGE_IO = "GDCMImageIO"
_SERIES_UID, _DESCRIPTION = (0x0020, 0x000E), (0x0008, 0x103E)
_STORAGE, _MEDIA_STORAGE = (0x0008, 0x0016), (0x0002, 0x0002)
_INSTANCE_NUMBER, _IMAGES = (0x0020, 0x0013), (0x0020, 0x1002)  # (0020,1002): images in the acquisition
# A file of these classes that holds no image is a lost slice: MR, enhanced MR, CT, or damaged beyond telling.
_SLICE_CLASSES = (*(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("4", "4.1", "4.3", "4.4", "2")), "")
_SAME_PLACE = 0.01  # mm
_REGULAR = 0.05  # mm a slice may lie off its place in the stack: positions are rounded to 0.01 mm or finer
_DRIFT = 0.1  # mm that the last slice may be shifted in its plane against the first
_DECIMALS = 9  # of mm: removes the noise of averaging equal decimal numbers
_SAME = 1e-3  # direction cosines, and fraction of the pixel spacing


@dataclass(frozen=True)
class _Slice:
    """One file of a series.

    uid, description: of the series. number, images: of the slice, and of all slices of the acquisition, 0 where the
    file does not say. grid: with one voxel along z. enhanced: the file holds the whole volume, see `multi_frame`.
    problem: what keeps it from being a slice of a volume, which only matters when its series is the one to read.
    """

    file: Path
    uid: str
    description: str
    number: int
    images: int
    grid: Grid
    enhanced: bool
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


def read_dicom_series(path: Path, series: str | None = None, warnings: list[str] | None = None) -> sitk.Image:
    """Read the slices of one DICOM series as a 3D float32 image (LPS, mm), with the scanner's rescaling applied.

    Args:
        path: the folder (its subfolders are not searched), or one file of the series, which then chooses it.
        series: UID or description of the series; needed when the folder holds several.
        warnings: gets a sentence for what is read, but may not be whole.

    Raises:
        VolumeError: no series, several and none chosen, or slices that do not make a regular stack.
        OSError: the folder cannot be read.
    """
    slices = _series(path, series)
    if slices[0].enhanced:
        return read_multi_frame(slices[0].file)
    grid, slices = _stack(slices, _folder(path).name)
    if warnings is not None:
        warnings += missing_ends([one.number for one in slices], max(one.images for one in slices))
    values = np.empty(grid.shape, np.float32)
    with np.errstate(over="ignore"):  # what becomes infinite is reported with the other values
        for plane, one in zip(values, slices, strict=True):
            plane[:] = _pixels(one)
    return grid.image(values)


def series_files(path: Path, series: str | None = None) -> list[Path]:
    """The files that `read_dicom_series` reads, in the order of the volume's slices; it raises the same errors."""
    slices = _series(path, series)
    return [one.file for one in (slices if slices[0].enhanced else _stack(slices, _folder(path).name)[1])]


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _series(path: Path, series: str | None) -> list[_Slice]:
    """The slices of the series that is meant, each without a problem, in no order."""
    name = _folder(path).name
    found = _find_series(_folder(path))
    if path.is_file() and series is None:
        series = _uid(check_elements(path), path)
    slices = _choose(found, series, name)
    for one in slices:
        if one.problem:
            raise VolumeError(f"{one.file.name} {one.problem}.")
    if len(slices) > 1 and any(one.enhanced for one in slices):
        raise VolumeError(f"{name} holds several multi-frame files of one series: give the one file that is meant.")
    return slices


def _pixels(one: _Slice) -> np.ndarray:
    """The pixels of one slice, (y, x); each file has its own rescaling, which SimpleITK applies."""
    try:
        image = sitk.ReadImage(str(one.file), imageIO=_IMAGE_IO)
        return sitk.GetArrayFromImage(image).reshape(one.grid.size[1], one.grid.size[0])
    except (RuntimeError, ValueError) as error:
        raise VolumeError(f"{one.file.name} is a damaged DICOM file: copy it again.") from error


def _find_series(folder: Path) -> dict[str, list[_Slice]]:
    """The slices in a folder by series UID; files that are no images (reports, waveforms) are skipped."""
    found = defaultdict(list)
    for file in sorted(folder.iterdir()):
        if not (file.is_file() and is_dicom_file(file)):
            continue
        elements = check_elements(file)
        if is_image(elements):
            one = _read_slice(file, elements)
            found[one.uid].append(one)
            continue
        media = elements.text(_MEDIA_STORAGE)  # a directory of files has no other
        kind = elements.text(_STORAGE) or media
        if kind in _SLICE_CLASSES or kind != media:
            raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
        _logger.warning("%s is a DICOM file without a readable image: skipped.", file.name)
    if not found:
        raise VolumeError(
            f"{folder.name} holds no DICOM image: give the folder that directly holds the slices of the series."
        )
    return dict(found)


def _uid(elements: Elements, file: Path) -> str:
    if uid := elements.text(_SERIES_UID):
        return uid
    raise VolumeError(f"{file.name} does not say its series: export it from the scanner again.")


def _read_slice(file: Path, elements: Elements) -> _Slice:
    """The header of one slice; no pixel is read."""
    header = read_header(elements)
    countable = header.problem is None and header.frames == 1 and is_rle(elements)
    if countable and rle_bytes(file, elements) < expected_bytes(elements):
        raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
    number, images = (int(t) if (t := elements.text(tag)).isdecimal() else 0 for tag in (_INSTANCE_NUMBER, _IMAGES))
    return _Slice(
        file=file,
        uid=_uid(elements, file),
        description=elements.text(_DESCRIPTION),
        number=number,
        images=images,
        grid=header.grid,
        enhanced=header.enhanced,
        problem=header.problem,
    )


def _choose(found: dict[str, list[_Slice]], series: str | None, name: str) -> list[_Slice]:
    """The slices of the one series that is meant."""
    if series is None:  # screenshots and the like do not count beside a volume
        matching = [uid for uid, slices in found.items() if not any(s.problem for s in slices)] or list(found)
    else:
        matching = [uid for uid, slices in found.items() if series in (uid, slices[0].description)]
    if len(matching) == 1:
        return found[matching[0]]
    listed = "; ".join(
        f"'{shown(slices[0].description) or 'no description'}' ({len(slices)} slices, UID {shown(uid)})"
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
