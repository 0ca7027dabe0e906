"""What one run leaves on disk: images, record, picture, page, DICOM."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "files": ["save_enhancement", "check_writable"],
        "paths": ["result_paths", "result_name"],
        "html_page": ["write_subject_report"],
        "dicom_folder": ["write_dicom", "read_result", "publish_dicom"],
    },
)
