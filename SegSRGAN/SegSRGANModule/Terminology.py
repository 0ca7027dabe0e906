"""The cortex in Slicer's terminology: SNOMED CT codes, and the name that users see."""

SEGMENT_ID = "cortex"
SEGMENT_NAME = "Cerebral cortex"
SEGMENT_COLOR = (0.94, 0.55, 0.20)  # stands out on grey images, also for colour-blind eyes

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"
# SCT = SNOMED CT. Category, type, and no modifier; no region, for the type is one already.
_CATEGORY = "SCT^123037004^Anatomical Structure"
_TYPE = "SCT^40146001^Cerebral Grey Matter"
TERMINOLOGY_ENTRY = f"{_CONTEXT}~{_CATEGORY}~{_TYPE}~^^~{_REGIONS}~^^~^^"
