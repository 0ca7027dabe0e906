"""One colour a system, the same in every picture (Okabe and Ito's, which colour-blind readers can tell apart)."""

from __future__ import annotations

_TRUTH = "#009E73"
_COLOURS = {
    "spline": "#999999",
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


def colour(title: str) -> str:
    """The colour of a row of the tables, for instance of "imapa on spline"; black for a user's own system."""
    name = title.split(" on ")[0]
    return _COLOURS.get(name, _COLOURS.get(name.removesuffix("+consistency"), _OTHER))
