"""A volume as a derived series of DICOM MR images, in the study of its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid
from ...utils.notice import RESEARCH_USE_ONLY
from ...utils.optional import require
from .study import DicomSource

MANUFACTURER = "SegSRGAN"
_LEVELS = 65535  # of a 16-bit pixel: quantization is off by 1/131070 of the range at most
_MAX_SERIES_NUMBER = 99_999  # keeps derived numbers within DICOM's IS (12 characters)
_SPATIAL_RESAMPLING = ("113085", "DCM", "Spatial resampling")
_SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")
_ACQUISITION, _PROCESSING = ("109101", "DCM", "Acquisition Equipment"), ("109102", "DCM", "Processing Equipment")


@dataclass(frozen=True)
class Maker:
    """Who derives: the software's version, the model's name and SHA-256, and whether a person corrected it."""

    version: str
    model: str
    sha256: str
    edited: bool = False

    @classmethod
    def of(cls, record: dict[str, Any], edited: bool = False) -> Maker:
        """From the record of a result."""
        model = record["model"]
        name, sha256 = model["name"] or model["title"], model["sha256"] or "not saved"
        return cls(record["software"]["segsrgan"], name, sha256, edited)


def make_mr_series(image: sitk.Image, source: DicomSource, maker: Maker) -> list[Any]:
    """Make the datasets of a series, one a slice.

    Pixels are 16 bits, over the volume's range, with one rescale slope and intercept for all slices.

    Args:
        image: 3D, finite, on any grid; the source's frame of reference is its space.
        source: the scan that it was made from.
        maker: what computed it, see `Maker`.

    Returns:
        Complete pydicom datasets, in the order of the third axis. Each says its own place, so the slices of a
        left-handed grid run against the normal, and readers, which sort them along it, reverse that axis.
    """
    grid, values = Grid.of(image), sitk.GetArrayViewFromImage(image)
    intercept, slope = _rescaling(values)
    common = _common(grid, source, maker)
    common.RescaleIntercept, common.RescaleSlope, common.RescaleType = intercept, slope, "US"
    low, high = (float(level) for level in np.percentile(values, (0.5, 99.8)))
    common.WindowCenter, common.WindowWidth = _number((low + high) / 2), _number(max(high - low, slope))
    datasets = []
    for k, plane in enumerate(values):
        levels = np.rint((plane.astype(np.float64) - float(intercept)) / float(slope))
        datasets.append(_slice(common, grid, k, levels.clip(0, _LEVELS).astype("<u2")))
    return datasets


def derived_series_number(source: DicomSource, place: int) -> int:
    """A number that sorts the derived series behind its source: 5 becomes 501, 502."""
    return min(int(source.headers[0].get("SeriesNumber") or 0), _MAX_SERIES_NUMBER) * 100 + place


def code(value: str, scheme: str, meaning: str) -> Any:
    """One coded concept as a dataset."""
    return require("highdicom.sr.coding", extra="dicom").CodedConcept(value, scheme, meaning)


def new_uid() -> str:
    """A random UID, which says nothing of its maker."""
    return str(require("pydicom.uid", extra="dicom").generate_uid(None))


def _rescaling(values: np.ndarray) -> tuple[Any, Any]:
    """Intercept and slope as they will be read: decimal texts of 16 characters."""
    intercept = _number(float(values.min()))
    # the text of the intercept may lie above the lowest value, and that of the slope below the wanted one
    span = max(float(values.max()) - float(intercept), 1e-6)
    return intercept, _number(span * (1 + 1e-7) / _LEVELS)


def _number(value: float) -> Any:
    return require("pydicom.valuerep", extra="dicom").DSfloat(value, auto_format=True)


def _common(grid: Grid, source: DicomSource, maker: Maker) -> Any:
    """What all slices share."""
    dataset, now = source.template(), datetime.now()
    dataset.Modality, dataset.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    dataset.ImageType, dataset.ContentQualification = ["DERIVED", "SECONDARY", "OTHER"], "RESEARCH"
    dataset.ScanningSequence = dataset.get("ScanningSequence") or "RM"  # research mode
    dataset.SequenceVariant = dataset.get("SequenceVariant") or "NONE"
    dataset.BodyPartExamined = dataset.get("BodyPartExamined") or "BRAIN"
    dataset.SeriesInstanceUID, dataset.SeriesNumber = new_uid(), derived_series_number(source, 1)
    dataset.SeriesDescription = f"SegSRGAN super-resolution {min(grid.spacing):.3g} mm, research use only"
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = now.strftime("%Y%m%d")
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = now.strftime("%H%M%S")
    dataset.Manufacturer = dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions, dataset.DeviceSerialNumber = maker.version, maker.sha256[:64]
    dataset.DerivationDescription = f"Super-resolved by the model {maker.model} from {len(source.headers)} slices."
    dataset.DerivationCodeSequence = [code(*_SPATIAL_RESAMPLING)]
    dataset.ImageComments = RESEARCH_USE_ONLY
    dataset.SourceImageSequence = [_reference(header) for header in source.headers]
    dataset.ContributingEquipmentSequence = contributing_equipment(source, maker)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.Columns, dataset.Rows = grid.size[:2]
    dataset.PixelSpacing = [_number(grid.spacing[1]), _number(grid.spacing[0])]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = _number(grid.spacing[2])
    cosines = np.array(grid.direction).reshape(3, 3)
    dataset.ImageOrientationPatient = [_number(float(c)) for c in (*cosines[:, 0], *cosines[:, 1])]
    return dataset


def _slice(common: Any, grid: Grid, k: int, levels: np.ndarray) -> Any:
    """Slice k of the grid; levels (y, x) uint16."""
    pydicom, uid = require("pydicom.dataset", extra="dicom"), require("pydicom.uid", extra="dicom")
    dataset = pydicom.Dataset()
    dataset.update(common)
    axis = np.array(grid.direction).reshape(3, 3)[:, 2]
    position = np.array(grid.origin) + k * grid.spacing[2] * axis
    dataset.SOPInstanceUID, dataset.InstanceNumber = new_uid(), k + 1
    dataset.ImagePositionPatient = [_number(float(p)) for p in position]
    dataset.SliceLocation = _number(float(position @ axis))
    dataset.PixelData = levels.tobytes()
    dataset.file_meta = pydicom.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return dataset


def _reference(header: Any) -> Any:
    item = require("pydicom", extra="dicom").Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [code(*_SOURCE_IMAGE)]
    return item


def contributing_equipment(source: DicomSource, maker: Maker) -> Sequence[Any]:
    """The scanner, where the source names it, and this software with its model."""
    equipment = require("highdicom", extra="dicom").ContributingEquipment
    ours = equipment(
        MANUFACTURER,
        code(*_PROCESSING),
        manufacturer_model_name=maker.model[:64],
        software_versions=maker.version,
        device_serial_number=maker.sha256[:64],
        contribution_description=RESEARCH_USE_ONLY,
    )
    scanner = source.headers[0]
    if not scanner.get("Manufacturer"):
        return [ours]
    name = scanner.get("ManufacturerModelName") or None
    return [equipment(scanner.Manufacturer, code(*_ACQUISITION), manufacturer_model_name=name), ours]
