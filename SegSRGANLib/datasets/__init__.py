"""Volumes with known truth."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "phantom": ["Phantom", "neonatal_phantom"],
    },
)
