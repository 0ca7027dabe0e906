"""What a derived DICOM series takes over from its source, attribute by attribute; nothing else of the source is copied.

The list is a list of what may pass, not of what is held back: no private attribute, no comment, no name of a physician
or operator but the one that the standard asks for, and none of what a site adds on its own.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...utils.errors import VolumeError
from ...utils.optional import require
from .series import is_dicom_file, series_files

_logger = logging.getLogger(__name__)

# Of type 2: present in every MR image, if need be without a value.
_ALWAYS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"),
    *("PatientPosition", "PositionReferenceIndicator"),
)
_WHEN_THERE = (
    *("SpecificCharacterSet", "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "BurnedInAnnotation"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("AcquisitionDate", "AcquisitionTime", "BodyPartExamined", "ScanningSequence", "SequenceVariant"),
    *("InversionTime", "FlipAngle", "MagneticFieldStrength", "ImagingFrequency", "ImagedNucleus", "NumberOfAverages"),
)


@dataclass(frozen=True)
class DicomSource:
    """The headers of a scan's slices (pydicom datasets without pixels), in the order of their positions."""

    headers: tuple[Any, ...]

    def template(self) -> Any:
        """A new dataset with what the study, the patient and the scan pass on; the frame of reference among it."""
        pydicom, uid = require("pydicom", extra="dicom"), require("pydicom.uid", extra="dicom")
        first, dataset = self.headers[0], pydicom.Dataset()
        for keyword in (*_WHEN_THERE, *_ALWAYS):
            if keyword in first:
                _copy(first, dataset, keyword)
        for keyword in _ALWAYS:
            if keyword not in dataset:
                setattr(dataset, keyword, None)
        dataset.StudyInstanceUID = first.StudyInstanceUID
        dataset.FrameOfReferenceUID = first.get("FrameOfReferenceUID") or uid.generate_uid(None)
        dataset.remove_private_tags()
        return dataset


def read_source(path: str | Path, series: str | None = None) -> DicomSource:
    """Read the headers of the series that `volume.read_volume` reads with the same arguments.

    Raises:
        VolumeError: no DICOM series, or one that does not name its study.
        MissingPackage: pydicom or highdicom is not installed.
    """
    pydicom = require("pydicom", extra="dicom")
    require("highdicom", extra="dicom")  # said before the work, not after it
    path = Path(path).absolute()
    if not path.exists():
        raise VolumeError(f"{path} does not exist: check the name and the folder.")
    if not (path.is_dir() or is_dicom_file(path)):
        raise VolumeError(
            f"{path.name} is not a DICOM series, and DICOM results need the study that they belong to: "
            "give the folder of its slices, or leave out --dicom."
        )
    headers = tuple(pydicom.dcmread(file, stop_before_pixels=True) for file in series_files(path, series))
    if not headers[0].get("StudyInstanceUID"):
        raise VolumeError(f"{path.name} does not say which study it belongs to: export it from the scanner again.")
    return DicomSource(headers)


def _copy(source: Any, target: Any, keyword: str) -> None:
    """Copy one attribute; one that is written against the standard is left out, not passed on."""
    try:
        target[keyword] = copy.deepcopy(source[keyword])
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
        _logger.warning("The DICOM attribute %s cannot be read and is not copied (%s).", keyword, error)
