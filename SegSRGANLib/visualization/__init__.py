"""Pictures: cut planes, grey window, outlines, palette."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "comparison_picture": ["Column", "draw_planes"],
        "qc_picture": ["draw_enhancement"],
        "verdict_style": ["shown_verdict"],
        "planes": ["Cut", "cut_plane", "grey_window", "upright"],
        "overlays": ["draw_cross_sections"],
        "palette": ["class_colours", "system_colour"],
    },
)
