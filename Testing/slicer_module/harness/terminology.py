"""The terminology lists of the application, which the wheel does not hold, reduced to the codes used here."""

import json
import pathlib

_SCHEMA = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/{}-context-schema.json#"
_LISTS = {
    "SlicerGeneralAnatomy": "Segmentation category and type - 3D Slicer General Anatomy list",
    "DICOM-Master": "Segmentation category and type - DICOM master list",
}


def _code(meaning: str, value: str, **more) -> dict:
    return {"CodeMeaning": meaning, "CodingSchemeDesignator": "SCT", "CodeValue": value, **more}


def write(folder: pathlib.Path) -> None:
    """Write the two category lists and the list of regions into `folder`."""
    folder.mkdir(parents=True)
    green, cream = {"recommendedDisplayRGBValue": [128, 174, 128]}, {"recommendedDisplayRGBValue": [250, 250, 225]}
    types = [_code("Cerebral Grey Matter", "40146001", **green), _code("Cerebral White Matter", "68523003", **cream)]
    tissue = _code("Tissue", "85756007", showAnatomy=True, Type=[_code("Tissue", "85756007", **green)])
    anatomy = _code("Anatomical Structure", "123037004", showAnatomy=True, Type=types)
    for stem, name in _LISTS.items():
        content = {
            "@schema": _SCHEMA.format("segment"),
            "SegmentationCategoryTypeContextName": name,
            "SegmentationCodes": {"Category": [anatomy, tissue]},
        }
        (folder / f"SegmentationCategoryTypeModifier-{stem}.term.json").write_text(json.dumps(content))
    regions = {
        "@schema": _SCHEMA.format("anatomic"),
        "AnatomicContextName": "Anatomic codes - DICOM master list",
        "AnatomicCodes": {"AnatomicRegion": [_code("Brain", "12738006")]},
    }
    (folder / "AnatomicRegionAndModifier-DICOM-Master.term.json").write_text(json.dumps(regions))
