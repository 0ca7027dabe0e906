"""Durations in words."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """A duration as one would say it: "40 s", "2 min", "1.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
