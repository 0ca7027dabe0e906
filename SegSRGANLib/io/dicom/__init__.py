"""DICOM series to checked images, and results back into the study of their scan."""

from __future__ import annotations

from ...utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "series": ["read_dicom_series"],
        "study": ["DicomSource", "read_source"],
        "mr_series": ["make_mr_series"],
        "segmentation": ["make_segmentation"],
    },
)
