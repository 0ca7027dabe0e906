"""The segments of a result in Slicer's terminology; names, colours and codes are the library's (`data/classes.py`)."""

from __future__ import annotations

from SegSRGANLib.data import classes as tissues

SEGMENT_ID = tissues.CORTEX  # and the name of the class

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"
# SCT = SNOMED CT. Category, type, and no modifier; no region, for the type is one already.
_CATEGORY = "SCT^123037004^Anatomical Structure"


def titleOf(name: str) -> str:
    """What a reader sees of the class `name`: "White matter"; a name that no terminology knows stays as it is."""
    tissue = tissues.TISSUES.get(name)
    return tissue.title if tissue else name


def entry(code: str, meaning: str) -> str:
    """The terminology entry of an anatomical structure with a SNOMED CT code."""
    return f"{_CONTEXT}~{_CATEGORY}~SCT^{code}^{meaning}~^^~{_REGIONS}~^^~^^"


def ensureSegments(segmentation, names: list[str]) -> list[str]:
    """Add the segments of a model's classes that are not there yet; returns the ids of those that were added.

    A tissue without a SNOMED CT code, and what else a user's model calls a class, has no terminology entry.
    """
    added = []
    for name, colour in zip(names, tissues.display_colours(names), strict=True):
        if segmentation.GetSegment(name) is not None:
            continue
        segmentation.AddEmptySegment(name, titleOf(name), [level / 255 for level in colour])
        tissue = tissues.TISSUES.get(name)
        if tissue and tissue.code:
            segmentation.GetSegment(name).SetTerminology(entry(tissue.code, tissue.meaning))
        added.append(name)
    return added
