"""The cortex as a DICOM segmentation (SEG) of the derived series that it was drawn on."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from .dicom_image import MANUFACTURER, Maker, code, contributing_equipment, derived_series_number, new_uid
from .dicom_source import DicomSource
from .optional import require
from .provenance import RESEARCH_USE_ONLY

# As in Slicer's terminology, so that Slicer shows its own name for the cortex.
_CATEGORY = ("123037004", "SCT", "Anatomical Structure")
_CORTEX = ("40146001", "SCT", "Cerebral cortex")
_COLOR = (240, 140, 51)  # RGB; stands out on grey images, also for colour-blind eyes
_ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")


def cortex_segmentation(labels: sitk.Image, series: list[Any], source: DicomSource, maker: Maker) -> Any:
    """Make a binary segmentation with one segment.

    Args:
        labels: 1 is cortex; on the grid of the series.
        series: from `dicom_image.mr_series`; the segmentation refers to it, frame by frame, and has its geometry.
        source: of the series.
        maker: see there.

    Returns:
        A complete pydicom dataset. Slices without cortex have no frame; without any cortex all slices have one.
    """
    highdicom = require("highdicom", extra="dicom")
    pixels = (sitk.GetArrayViewFromImage(labels) > 0).astype(np.uint8)
    dataset = highdicom.seg.Segmentation(
        source_images=series,
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(highdicom, maker)],
        series_instance_uid=new_uid(),
        series_number=derived_series_number(source, 2),
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=maker.version,
        device_serial_number=maker.sha256[:64],
        content_label="CORTEX",
        content_description="Cerebral cortex, research use only",
        series_description="SegSRGAN cortex, research use only",
        contributing_equipment=contributing_equipment(source, maker),
    )
    dataset.ContentQualification, dataset.ImageComments = "RESEARCH", RESEARCH_USE_ONLY
    return dataset


def _description(highdicom: Any, maker: Maker) -> Any:
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Cerebral cortex",
        segmented_property_category=code(*_CATEGORY),
        segmented_property_type=code(*_CORTEX),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=f"SegSRGAN {maker.model}"[:64],
            family=code(*_ARTIFICIAL_INTELLIGENCE),
            version=f"{maker.version}, model {maker.sha256[:12]}",
            source=MANUFACTURER,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*_COLOR),
    )
