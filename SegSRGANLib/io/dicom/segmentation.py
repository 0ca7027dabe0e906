"""The classes of a result as a DICOM segmentation (SEG) of the derived series that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.classes import CORTEX, file_part
from ...utils.notice import RESEARCH_USE_ONLY
from ...utils.optional import require
from .mr_series import MANUFACTURER, Maker, code, contributing_equipment, derived_series_number, new_uid
from .study import DicomSource

# As in Slicer's terminology, so that Slicer shows its own name for the cortex.
_CATEGORY = ("123037004", "SCT", "Anatomical Structure")
_CORTEX = ("40146001", "SCT", "Cerebral cortex")
# RGB, for one class after the other; the first stands out on grey images, also for colour-blind eyes
_COLORS = ((240, 140, 51), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (0, 114, 178))
_OWN_SCHEME = "99SEGSRGAN"  # DICOM PS3.3, 8.2: a private coding scheme begins with 99
_ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")


def make_segmentation(
    labels: sitk.Image, classes: Sequence[str], series: list[Any], source: DicomSource, maker: Maker
) -> Any:
    """Make a binary segmentation with one segment for each class.

    Args:
        labels: 1 is the first class, 2 the second ...; on the grid of the series.
        classes: their names. The cortex has its SNOMED CT code, any other class one of our own with its name.
        series: from `mr_series.make_mr_series`; the segmentation refers to it, frame by frame, and has its geometry.
        source: of the series.
        maker: see there.

    Returns:
        A complete pydicom dataset. Slices without a class have no frame of it; without any class all slices have one.
    """
    highdicom = require("highdicom", extra="dicom")
    pixels = sitk.GetArrayFromImage(labels).astype(np.uint8)
    only_cortex = tuple(classes) == (CORTEX,)
    dataset = highdicom.seg.Segmentation(
        source_images=series,
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(highdicom, maker, *item) for item in enumerate(classes, start=1)],
        series_instance_uid=new_uid(),
        series_number=derived_series_number(source, 2),
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=maker.version,
        device_serial_number=maker.sha256[:64],
        content_label="CORTEX" if only_cortex else "TISSUES",
        content_description=f"{'Cerebral cortex' if only_cortex else 'Tissues'}, research use only",
        series_description=f"SegSRGAN {'cortex' if only_cortex else 'tissues'}, research use only",
        contributing_equipment=contributing_equipment(source, maker),
    )
    dataset.ContentQualification, dataset.ImageComments = "RESEARCH", RESEARCH_USE_ONLY
    return dataset


def _description(highdicom: Any, maker: Maker, number: int, name: str) -> Any:
    kind = _CORTEX if name == CORTEX else (file_part(name), _OWN_SCHEME, name)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=kind[2],
        segmented_property_category=code(*_CATEGORY),
        segmented_property_type=code(*kind),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=f"SegSRGAN {maker.model}"[:64],
            family=code(*_ARTIFICIAL_INTELLIGENCE),
            version=f"{maker.version}, model {maker.sha256[:12]}",
            source=MANUFACTURER,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*_COLORS[(number - 1) % len(_COLORS)]),
    )
