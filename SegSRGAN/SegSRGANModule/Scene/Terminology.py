"""The segments of a result: the cortex in Slicer's terminology, other classes under their own names."""

SEGMENT_ID = "cortex"  # and the name of the class
SEGMENT_NAME = "Cerebral cortex"
SEGMENT_COLOR = (0.94, 0.55, 0.20)  # stands out on grey images, also for colour-blind eyes
# of the first class, the second ...; then again
COLORS = (
    SEGMENT_COLOR,
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.00, 0.45, 0.70),
)

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"
# SCT = SNOMED CT. Category, type, and no modifier; no region, for the type is one already.
_CATEGORY = "SCT^123037004^Anatomical Structure"
_TYPE = "SCT^40146001^Cerebral Grey Matter"
TERMINOLOGY_ENTRY = f"{_CONTEXT}~{_CATEGORY}~{_TYPE}~^^~{_REGIONS}~^^~^^"


def ensureSegment(segmentation, name: str, index: int) -> None:
    """Add the segment of class `name`, its number `index` among a model's classes, unless it is there.

    Only the cortex has codes: what else a user's model calls a class, no terminology can know.
    """
    if segmentation.GetSegment(name) is not None:
        return
    isCortex = name == SEGMENT_ID
    segmentation.AddEmptySegment(name, SEGMENT_NAME if isCortex else name, COLORS[index % len(COLORS)])
    if isCortex:
        segmentation.GetSegment(name).SetTerminology(TERMINOLOGY_ENTRY)
