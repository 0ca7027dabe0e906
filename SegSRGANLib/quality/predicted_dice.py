"""The Dice that a result's cortex would have against a truth that nobody knows, with an interval.

A linear model of the log-odds of the Dice on figures that every run measures, fitted on sources that the network was
not trained on; its numbers are part of the model's card, because they hold for that model alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..models.card import Reliability

FIGURES = ("expected_dice", "mask_confidence", "log_volume")
_EDGE = 0.005  # a Dice nearer to 0 or 1 counts as this


def figures_of(record: Mapping[str, Any]) -> dict[str, float] | None:
    """The figures that the prediction uses, out of a result's record.

    Returns:
        expected_dice: log-odds of the Dice that the probabilities expect of their own segmentation. mask_confidence:
        the same of the brain extractor, of the brain that it finds: how far the scan is like what networks know.
        log_volume: logarithm of the volume of the cortex in mL. None where one was not measured, or the classes were
        left as the network made them, of which the fits of the cards know nothing.
    """
    cortex = record.get("quality", {}).get("cortex") or {}
    checks = (record.get("mask") or {}).get("checks") or {}
    expected, confidence, volume = cortex.get("expected_dice"), checks.get("confidence"), cortex.get("volume_ml")
    if not record.get("options", {}).get("refinement", True):
        return None
    if expected is None or confidence is None or not volume:
        return None
    values = (log_odds(expected), log_odds(confidence), math.log(volume))
    return dict(zip(FIGURES, values, strict=True)) if all(map(math.isfinite, values)) else None


def predict_dice(record: Mapping[str, Any], reliability: Reliability | None) -> dict[str, float] | None:
    """Predicted Dice of the first class, and the interval that held nine in ten results of each left-out source.

    Returns:
        "value", "low" and "high"; None where the model's card has no fit of these figures, or one was not measured.
    """
    figures = figures_of(record)
    if reliability is None or figures is None or set(reliability.weights) != set(figures):
        return None
    odds = reliability.intercept + sum(reliability.weights[name] * value for name, value in figures.items())
    bounds = {"value": 0.0, "low": -reliability.half_width, "high": reliability.half_width}
    return {name: round(1 / (1 + math.exp(-(odds + offset))), 3) for name, offset in bounds.items()}


def log_odds(dice: float) -> float:
    """log(d / (1 - d)), finite."""
    dice = min(max(dice, _EDGE), 1 - _EDGE)
    return math.log(dice / (1 - dice))
