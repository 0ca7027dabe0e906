"""Files to checked images and back."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "volume": ["read_volume", "read_labels", "write_volume"],
        "subject_table": ["Case", "read_table"],
        "bids": ["read_bids", "bids_name"],
    },
)
