"""Deterministic operations on volumes, each with its adjoint where it has one."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "resample": ["upsample", "resample_labels", "onto"],
        "acquisition": ["acquire", "sampling_matrix"],
        "data_consistency": ["ForwardModel", "DataConsistency", "enforce_data_consistency"],
        "normalization": ["Normalization"],
        "bias_field": ["correct_bias"],
        "components": ["bounding_box", "largest_component"],
    },
)
