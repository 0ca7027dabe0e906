"""Measures without a truth: of a scan before a run, of a result after it."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "assessment": ["assess", "Quality"],
        "consistency": ["acquisition_consistency", "Consistency"],
        "morphometry": ["describe_segmentation"],
        "domain": ["Brain"],
        "uncertainty": ["PredictiveVariance"],
        "verdict": ["give_verdict", "verdict_line"],
    },
)
