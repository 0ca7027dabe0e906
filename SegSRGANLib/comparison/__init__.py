"""The paper's experiment on any data: simulate thick slices, run every system, measure, tabulate and draw."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "run": ["run_comparison"],
        "plan": ["CompareOptions"],
        "systems": ["parse_systems"],
    },
)
