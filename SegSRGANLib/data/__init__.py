"""The values that travel through the library: voxel grid, axes, tissue classes."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "grid": ["Grid", "output_grid"],
        "axes": ["orthonormal_axes"],
        "reorient": ["CanonicalAxes"],
        "classes": ["CORTEX", "checked_names", "label_map"],
    },
)
