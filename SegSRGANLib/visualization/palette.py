"""The colours of every picture, chosen so that colour-blind readers can tell them apart (after Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.classes import display_colours

BRAIN_MASK = "#3bc8ff"  # outline of a brain mask, which no class has
TOO_BRIGHT, TOO_DARK, UNSURE = (255, 60, 40), (60, 120, 255), (255, 200, 0)  # RGB: maps of quality

_TRUTH = "#009E73"
_SYSTEMS = {
    "spline": "#999999",
    "band-limited": "#666666",
    "srrecnn": "#56B4E9",
    "segsrgan-paper": "#E69F00",
    "segsrgan": "#D55E00",
    "segsrgan+consistency": "#882255",
    "majority": "#F0E442",
    "imapa": "#0072B2",
    "drawem": "#CC79A7",
    "HR": _TRUTH,
}
_OTHER = "#000000"


def system_colour(title: str) -> str:
    """The colour of a row of a comparison, for instance of "imapa on spline"; black for a user's own system."""
    name = title.split(" on ")[0]
    return _SYSTEMS.get(name, _SYSTEMS.get(name.removesuffix("+consistency"), _OTHER))


def class_colours(names: Sequence[str]) -> tuple[str, ...]:
    """The colours of a model's classes, as matplotlib takes them; the same as in Slicer and in DICOM."""
    return tuple("#{:02x}{:02x}{:02x}".format(*rgb) for rgb in display_colours(names))
