"""The classes of a result as a DICOM segmentation (SEG) of the derived series that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.classes import CORTEX, TISSUES, Colour, display_colours, file_part
from ...utils.notice import RESEARCH_USE_ONLY
from ...utils.optional import require
from .mr_series import MANUFACTURER, Maker, code, contributing_equipment, derived_series_number, new_uid
from .study import DicomSource

_CATEGORY = ("123037004", "SCT", "Anatomical Structure")
_OWN_SCHEME = "99SEGSRGAN"  # DICOM PS3.3, 8.2: a private coding scheme begins with 99
_ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")


def make_segmentation(
    labels: sitk.Image, classes: Sequence[str], series: list[Any], source: DicomSource, maker: Maker
) -> Any:
    """Make a binary segmentation with one segment for each class.

    Args:
        labels: 1 is the first class, 2 the second ...; on the grid of the series.
        classes: their names. Known tissues have their SNOMED CT code, other classes one of our own with their name.
        series: from `mr_series.make_mr_series`; the segmentation refers to it, frame by frame, and has its geometry.
        source: of the series.
        maker: what computed it, see `Maker`.

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
        segment_descriptions=[
            _description(highdicom, maker, number, *item)
            for number, item in enumerate(zip(classes, display_colours(classes), strict=True), start=1)
        ],
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


def _description(highdicom: Any, maker: Maker, number: int, name: str, colour: Colour) -> Any:
    tissue, types = TISSUES.get(name), highdicom.seg.SegmentAlgorithmTypeValues
    coded = tissue is not None and tissue.code
    kind = (tissue.code, "SCT", tissue.meaning) if coded else (file_part(name), _OWN_SCHEME, name)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name if tissue is None else tissue.title,
        segmented_property_category=code(*_CATEGORY),
        segmented_property_type=code(*kind),
        algorithm_type=types.SEMIAUTOMATIC if maker.edited else types.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=f"SegSRGAN {maker.model}"[:64],
            family=code(*_ARTIFICIAL_INTELLIGENCE),
            version=f"{maker.version}, model {maker.sha256[:12]}",
            source=MANUFACTURER,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*colour),
    )
