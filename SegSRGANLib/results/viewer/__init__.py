"""The page to look at results in a browser, without 3D Slicer: offline, served from this computer or as one file."""

from __future__ import annotations

from ...utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "study": ["Study", "find_studies"],
        "page": ["write_view", "TooLarge"],
        "server": ["serve", "ResultServer"],
    },
)
