"""Several stacks of one child: rigid registration, and one volume that agrees with all of them."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "alignment": ["align", "AlignedStack"],
        "fusion": ["fuse", "Term"],
        "operator": ["StackOperator"],
        "registration": ["register", "Registration"],
        "scan": ["Scan"],
    },
)
