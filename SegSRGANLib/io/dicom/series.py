"""A folder of DICOM slices as one volume, its geometry taken from all slices.

SimpleITK stacks the files it is given, in their order, whatever lies between them. Here the slices are sorted by their
position along the normal, and a missing, doubled, tilted or foreign slice is an error.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...utils.errors import VolumeError
from ..payload import shown
from .completeness import missing_slices
from .header import expected_bytes, is_image, read_header, rescaling, slice_distance
from .integrity import Elements, check_elements
from .multi_frame import read_multi_frame
from .padding import is_padding, padding_range
from .rle import is_rle, rle_bytes
from .stack import Slice, stack

_logger = logging.getLogger(__name__)

_IMAGE_IO = "GDCMImageIO"
_SERIES_UID, _DESCRIPTION = (0x0020, 0x000E), (0x0008, 0x103E)
_STORAGE, _MEDIA_STORAGE = (0x0008, 0x0016), (0x0002, 0x0002)
_INSTANCE_NUMBER, _IMAGES = (0x0020, 0x0013), (0x0020, 0x1002)  # (0020,1002): images in the acquisition
# A file of these classes that holds no image is a lost slice: MR, enhanced MR, CT, or damaged beyond telling.
_SLICE_CLASSES = (*(f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("4", "4.1", "4.3", "4.4", "2")), "")


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
    name = _folder(path).name
    if slices[0].enhanced:
        image, padded = read_multi_frame(slices[0].file, slices[0].padding)
        _warn_of_padding(padded, name, warnings)
        return image
    grid, slices = stack(slices, name)
    values = np.empty(grid.shape, np.float32)
    padded = 0
    with np.errstate(over="ignore"):  # what becomes infinite is reported with the other values
        for plane, one in zip(values, slices, strict=True):
            plane[:] = _pixels(one)
            padded += _without_padding(plane, one)
    _warn_of_padding(padded, name, warnings)
    if warnings is not None:
        numbers, images = [one.number for one in slices], max(one.images for one in slices)
        warnings += missing_slices(numbers, images, grid.spacing[2], max(one.distance for one in slices))
    return grid.image(values)


def _warn_of_padding(count: int, name: str, warnings: list[str] | None) -> None:
    if count and warnings is not None:
        warnings.append(f"{name} holds {count} pixels that the scanner marked as padding; they became 0.")


def series_files(path: Path, series: str | None = None) -> list[Path]:
    """The files that `read_dicom_series` reads, in the order of the volume's slices; it raises the same errors."""
    slices = _series(path, series)
    return [one.file for one in (slices if slices[0].enhanced else stack(slices, _folder(path).name)[1])]


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _series(path: Path, series: str | None) -> list[Slice]:
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


def _pixels(one: Slice) -> np.ndarray:
    """The pixels of one slice, (y, x); each file has its own rescaling, which SimpleITK applies."""
    try:
        image = sitk.ReadImage(str(one.file), imageIO=_IMAGE_IO)
        return sitk.GetArrayFromImage(image).reshape(one.grid.size[1], one.grid.size[0])
    except (RuntimeError, ValueError) as error:
        raise VolumeError(f"{one.file.name} is a damaged DICOM file: copy it again.") from error


def _without_padding(plane: np.ndarray, one: Slice) -> int:
    """Set padding to 0, in place; how many pixels were something else."""
    if one.padding is None:
        return 0
    padding = is_padding(plane, one.padding, *one.rescaling) & (plane != 0)
    plane[padding] = 0
    return int(np.count_nonzero(padding))


def _find_series(folder: Path) -> dict[str, list[Slice]]:
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


def _read_slice(file: Path, elements: Elements) -> Slice:
    """The header of one slice; no pixel is read."""
    header = read_header(elements)
    countable = header.problem is None and header.frames == 1 and is_rle(elements)
    if countable and rle_bytes(file, elements) < expected_bytes(elements):
        raise VolumeError(f"{file.name} is a damaged DICOM file: copy it again.")
    number, images = (int(t) if (t := elements.text(tag)).isdecimal() else 0 for tag in (_INSTANCE_NUMBER, _IMAGES))
    return Slice(
        file=file,
        uid=_uid(elements, file),
        description=elements.text(_DESCRIPTION),
        number=number,
        images=images,
        grid=header.grid,
        enhanced=header.enhanced,
        problem=header.problem,
        distance=slice_distance(elements),
        rescaling=rescaling(elements),
        padding=padding_range(elements),
    )


def _choose(found: dict[str, list[Slice]], series: str | None, name: str) -> list[Slice]:
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
