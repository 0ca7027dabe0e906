"""The verdict on a result as pictures and pages show it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.classes import Colour

NO_VERDICT = "no verdict"

_GREEN, _AMBER, _RED, _GREY = (123, 216, 143), (255, 180, 84), (255, 122, 107), (154, 160, 168)
_STYLES: dict[str, tuple[str, Colour]] = {  # class in style.css, RGB
    "usable": ("usable", _GREEN),
    "look closely": ("look", _AMBER),
    "do not use": ("refuse", _RED),
}


@dataclass(frozen=True)
class ShownVerdict:
    """word: one of three, or "no verdict". dice: the predicted Dice in words, or "". reasons: sentences.
    style: class in style.css. colour: RGB."""

    word: str
    dice: str
    reasons: tuple[str, ...]
    style: str
    colour: Colour


def shown_verdict(record: Mapping[str, Any]) -> ShownVerdict:
    """The verdict of a record, see DESIGN: {"word", "reasons", "predicted_dice"}; "no verdict" where there is none."""
    verdict = record.get("verdict")
    if not isinstance(verdict, Mapping) or verdict.get("word") not in _STYLES:
        return ShownVerdict(NO_VERDICT, "", (), "none", _GREY)
    reasons = tuple(str(reason) for reason in verdict.get("reasons") or ())
    return ShownVerdict(
        verdict["word"], dice_in_words(verdict.get("predicted_dice")), reasons, *_STYLES[verdict["word"]]
    )


def dice_in_words(dice: Any) -> str:
    """A predicted Dice, "0.82 (0.75 to 0.88)", from a number, [low, high], [value, low, high], or a mapping with
    "value" and either "low" and "high" or "interval"; "" where there is none."""
    if isinstance(dice, Mapping):
        low, high = dice.get("interval") or (dice.get("low"), dice.get("high"))
        value = dice.get("value")
    elif isinstance(dice, list | tuple):
        value, low, high = dice if len(dice) == 3 else (None, *dice) if len(dice) == 2 else (None, None, None)
    else:
        value, low, high = dice, None, None
    interval = f"{low:.2f} to {high:.2f}" if _is_number(low) and _is_number(high) else ""
    if not _is_number(value):
        return interval
    return f"{value:.2f} ({interval})" if interval else f"{value:.2f}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
