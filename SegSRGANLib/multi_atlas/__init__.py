"""Segmentation by registered atlases: majority voting, IMAPA and a DrawEM-style EM. See `docs/atlas_methods.md`."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "atlas": ["Atlas", "read_atlases"],
        "registration": ["RegistrationOptions", "register_atlases"],
        "majority_vote": ["majority"],
    },
)
