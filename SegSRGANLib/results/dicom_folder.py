"""The DICOM folder of a result: the super-resolved series and its segmentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.classes import CORTEX, checked_names
from ..data.grid import Grid
from ..inference.enhancement import Enhancement
from ..io.dicom.mr_series import Maker, make_mr_series
from ..io.dicom.segmentation import make_segmentation
from ..io.dicom.study import DicomSource
from ..io.volume import read_labels, read_volume
from ..utils.atomic_files import staging_folder
from ..utils.errors import VolumeError
from ..utils.progress import ShouldStop, stop_if

_RECORD_ENDING = "_record.json"


def write_dicom(enhancement: Enhancement, source: DicomSource, folder: Path, edited: bool = False) -> None:
    """Write `sr/0001.dcm` and so on, and where the model segments `cortex.dcm`, into an empty folder.

    The segmentation of a model with other classes than the cortex is called `segmentation.dcm`.

    Args:
        enhancement: what `pipeline.enhance` returned.
        source: the series that it was made from.
        folder: where they go; it exists and is empty.
        edited: a person corrected the segmentation; it is called semi-automatic then.

    Raises:
        MissingPackage: pydicom or highdicom is not installed.
        OSError: the folder cannot be written.
    """
    maker = Maker.of(enhancement.record, edited)
    series = make_mr_series(enhancement.sr, source, maker)
    digits = max(4, len(str(len(series))))
    (folder / "sr").mkdir()
    for number, dataset in enumerate(series, start=1):
        dataset.save_as(folder / "sr" / f"{number:0{digits}d}.dcm", enforce_file_format=True)
    if enhancement.labels is not None:
        classes = tuple(enhancement.probabilities)
        name = "cortex.dcm" if classes == (CORTEX,) else "segmentation.dcm"
        dataset = make_segmentation(enhancement.labels, classes, series, source, maker)
        dataset.save_as(folder / name, enforce_file_format=True)


def read_result(record: str | Path, scan: str | Path, series: str | None = None) -> Enhancement:
    """Read the super-resolved volume and the segmentation that lie beside a record, as far as DICOM holds them.

    Probabilities are not read: each is the label map in their place.

    Args:
        record: NAME_record.json. scan: the DICOM series that the result was made from. series: which, of several.

    Raises:
        VolumeError: no record, files that are missing, or a result that does not lie where the scan does.
    """
    record = Path(record)
    if not record.name.endswith(_RECORD_ENDING) or not record.is_file():
        raise VolumeError(f"{record} is no record of a result: give the file NAME{_RECORD_ENDING}.")
    values = json.loads(record.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or "model" not in values or "software" not in values:
        raise VolumeError(f"{record.name} does not say which model and software made the result; make it again.")
    stem = record.name.removesuffix(_RECORD_ENDING)
    sr = read_volume(record.with_name(f"{stem}_sr.nii.gz"))
    names = values.get("classes", [CORTEX])
    classes = checked_names(names) if names else ()
    _check_place(sr, read_volume(scan, series))
    if not classes:
        return Enhancement(sr, {}, None, values)
    ending = "cortex" if classes == (CORTEX,) else "segmentation"
    labels = sitk.Cast(read_labels(record.with_name(f"{stem}_{ending}.nii.gz")), sitk.sitkUInt8)
    return Enhancement(sr, dict.fromkeys(classes, labels), labels, values)


def publish_dicom(
    result: Enhancement,
    source: DicomSource,
    folder: str | Path,
    *,
    edited: bool = False,
    should_stop: ShouldStop | None = None,
) -> None:
    """Write the DICOM files of a result into `folder`, which appears whole or not at all.

    Raises:
        ValueError: the folder holds something already; it may be another patient's.
        Cancelled: before anything was written. MissingPackage, VolumeError: see `write_dicom`.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty; choose a new folder for the DICOM files.")
    with staging_folder(folder.parent) as staging:
        made = staging / "new"
        made.mkdir()
        write_dicom(result, source, made, edited)
        stop_if(should_stop)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)


def _check_place(sr: sitk.Image, scan: sitk.Image) -> None:
    """Raise VolumeError unless both have their centre in one place, to a voxel of the scan."""
    centres = [np.array(image.TransformContinuousIndexToPhysicalPoint(_middle(image))) for image in (sr, scan)]
    if np.linalg.norm(centres[0] - centres[1]) > max(Grid.of(scan).spacing):
        apart = np.linalg.norm(centres[0] - centres[1])
        raise VolumeError(
            f"The result does not lie where the DICOM series does (their centres are {apart:.1f} mm apart): it was "
            "made from another scan, or moved since."
        )


def _middle(image: sitk.Image) -> list[float]:
    return [(size - 1) / 2 for size in image.GetSize()]
