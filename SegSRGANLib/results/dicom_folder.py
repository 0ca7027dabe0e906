"""The DICOM folder of a result: the super-resolved series and its segmentation."""

from __future__ import annotations

from pathlib import Path

from ..data.classes import CORTEX
from ..inference.enhancement import Enhancement
from ..io.dicom.mr_series import Maker, make_mr_series
from ..io.dicom.segmentation import make_segmentation
from ..io.dicom.study import DicomSource


def write_dicom(enhancement: Enhancement, source: DicomSource, folder: Path) -> None:
    """Write `sr/0001.dcm` and so on, and where the model segments `cortex.dcm`, into an empty folder.

    The segmentation of a model with other classes than the cortex is called `segmentation.dcm`.

    Args:
        enhancement: what `pipeline.enhance` returned.
        source: the series that it was made from.
        folder: where they go; it exists and is empty.

    Raises:
        MissingPackage: pydicom or highdicom is not installed.
        OSError: the folder cannot be written.
    """
    maker = Maker.of(enhancement.record)
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
