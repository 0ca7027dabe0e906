"""One volume in, its super-resolution and classes out."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "pipeline": ["enhance"],
        "options": ["EnhanceOptions"],
        "enhancement": ["Enhancement"],
        "predictor": ["predict_volume", "PredictionOptions"],
    },
)
