"""One word on a result, with its reasons: usable, look closely, or do not use.

Each check is passed, failed or not made, and a check that was not made never leads to "usable". How often the verdict
is right, on left-out sources and planted failures, stands in docs/tables/verdict.md (`benchmarks/verdict.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..models.card import Reliability
from .limits import (
    BRAIN_ML,
    CUT_BRAIN,
    FAIR_DICE,
    FAR_CONTRAST,
    FAR_SIZE,
    FOREIGN_MASK,
    GOOD_AGREEMENT,
    GOOD_DICE,
    LEAST_AGREEMENT,
    LEAST_LARGEST_PIECE,
    LOCAL_LIMIT,
    MANY_JUMPS,
    SCATTERED,
    SLACK_CONTRAST,
    SLACK_FACTOR,
    SLACK_ML,
    SLACK_SHAPE,
    SLICE_LIMIT,
    SURE_BRAIN,
    UNSURE_BRAIN,
)
from .predicted_dice import predict_dice

USABLE, LOOK, REFUSE = "usable", "look closely", "do not use"
_WORDS = (USABLE, LOOK, REFUSE)
_NOT_MADE = LOOK
_RESOLUTION = (
    ("slices_mm", "slice thickness", 0.0),
    ("inplane_factor", "resolution within the slices", SLACK_FACTOR),
)


@dataclass(frozen=True)
class Check:
    """One check of a result: its name, the word that it leads to, and why. made: whether it could be made."""

    name: str
    word: str
    reason: str = ""
    made: bool = True


def give_verdict(record: Mapping[str, Any], reliability: Reliability | None) -> dict[str, Any]:
    """Judge a result by its record.

    Args:
        record: of a result, with "mask", "quality" and "slice_motion".
        reliability: of the model's card; without it no Dice is predicted.

    Returns:
        JSON values: "word"; "reasons", sentences, the gravest first; "predicted_dice", with "value", "low" and "high",
        or None; "volume_bias_percent", from and to, or None; "checks", each with name, word, reason and made.
    """
    dice = predict_dice(record, reliability)
    checks = [check for make in _CHECKS for check in make(record)] + [_dice_check(dice)]
    word = max((check.word for check in checks), key=_WORDS.index)
    grave = sorted((check for check in checks if check.reason), key=lambda check: -_WORDS.index(check.word))
    return {
        "word": word,
        "reasons": [check.reason for check in grave],
        "predicted_dice": dice,
        "volume_bias_percent": _volume_bias(dice, reliability),
        "checks": [asdict(check) for check in checks],
    }


def verdict_line(record: Mapping[str, Any]) -> str:
    """The verdict as one line for a terminal or a table."""
    verdict = record.get("verdict")
    if not verdict:
        return "No verdict was given."
    dice = verdict.get("predicted_dice")
    expected = "" if dice is None else f" (expected Dice {dice['value']:.2f}, {dice['low']:.2f} to {dice['high']:.2f})"
    reasons = " ".join(verdict["reasons"][:3])
    return f"Verdict: {verdict['word']}{expected}.{' ' + reasons if reasons else ''}"


def _volume_bias(dice: Mapping[str, float] | None, reliability: Reliability | None) -> list[float] | None:
    """What the volume was off by in results that were predicted as good as this one."""
    return None if dice is None or reliability is None else list(reliability.volume_bias(dice["value"]))


def _missing(name: str, what: str) -> Check:
    return Check(name, _NOT_MADE, f"{what} could not be checked.", made=False)


def _mask_checks(record: Mapping[str, Any]) -> list[Check]:
    mask = record.get("mask") or {}
    source, volume, found = mask.get("source"), mask.get("volume_ml"), mask.get("checks") or {}
    if volume is not None and not BRAIN_ML[0] <= volume <= BRAIN_ML[1]:
        return [Check("brain mask", REFUSE, f"The brain mask has {volume:.0f} mL, which no newborn's brain has.")]
    if source == "none" and mask.get("wanted"):
        return [_missing("brain mask", "Where the brain is")]
    if source == "found":
        return [_found_mask(found)]
    if source == "given":
        if found.get("disagreement") is None:
            return [_missing("brain mask", "Whether the given brain mask fits this scan")]
        fits = found["disagreement"] <= FOREIGN_MASK
        return [Check("brain mask", USABLE if fits else LOOK, "" if fits else "The brain mask fits the scan poorly.")]
    if found.get("stripped") is False:
        return [Check("brain mask", LOOK, "No brain mask was used, but the scan shows more than a brain.")]
    return []  # the volume was declared to be a brain; its size and shape are checked as such


def _found_mask(found: Mapping[str, Any]) -> Check:
    confidence = found.get("confidence", 0.0)
    if confidence < UNSURE_BRAIN:
        return Check("brain mask", REFUSE, f"No brain was found with certainty (expected Dice {confidence:.2f}).")
    if confidence < SURE_BRAIN:
        return Check("brain mask", LOOK, f"The brain was found with little certainty (expected Dice {confidence:.2f}).")
    if found.get("cut", 0.0) > CUT_BRAIN:
        return Check("brain mask", LOOK, "The field of view cuts the brain.")
    return Check("brain mask", USABLE)


def _domain_checks(record: Mapping[str, Any]) -> list[Check]:
    domain = (record.get("quality") or {}).get("domain") or {}
    checks = [
        Check(name, LOOK, f"The scan's {words} lies outside of what the model was trained on.")
        for name, words, slack in _RESOLUTION
        if name in domain and abs(domain[name]["outside"]) > slack
    ]
    if "cut" not in domain:
        return [*checks, _missing("brain", "Size, shape and completeness of the brain")]
    if domain["cut"]["outside"] > 0:
        return [*checks, Check("brain", LOOK, "The brain is cut off; the model was trained on whole brains.")]
    return [*checks, _size_check(domain), _shape_check(domain)]


def _size_check(domain: Mapping[str, Any]) -> Check:
    volume, (low, high) = domain["brain_ml"]["value"], domain["brain_ml"]["training"]
    reason = f"The brain measures {volume:.0f} mL; the model was trained on {low:.0f} to {high:.0f} mL."
    if volume > FAR_SIZE * high or volume < low / 2:
        return Check("brain size", REFUSE, reason)
    inside = (1 - SLACK_ML) * low <= volume <= (1 + SLACK_ML) * high
    return Check("brain size", USABLE if inside else LOOK, "" if inside else reason)


def _shape_check(domain: Mapping[str, Any]) -> Check:
    unusual = abs(domain["shape"]["outside"]) > SLACK_SHAPE
    return Check("brain shape", LOOK if unusual else USABLE, "The brain's shape is unusual." if unusual else "")


def _contrast_checks(record: Mapping[str, Any]) -> list[Check]:
    contrast = ((record.get("quality") or {}).get("domain") or {}).get("contrast")
    if contrast is None:
        return [_missing("contrast", "The contrast of the brain")]
    beyond = abs(contrast["outside"])
    if beyond <= SLACK_CONTRAST:
        return [Check("contrast", USABLE)]
    reason = "The contrast is not that of a T2-weighted scan of a newborn."
    return [Check("contrast", REFUSE if beyond > FAR_CONTRAST else LOOK, reason)]


def _agreement_checks(record: Mapping[str, Any]) -> list[Check]:
    figures = (record.get("quality") or {}).get("consistency")
    if not figures:
        return [_missing("agreement", "Agreement of the result with its scan")]
    checks = [Check("agreement", *_agreement(figures["psnr"]))]
    if figures["z_max"] > LOCAL_LIMIT:
        checks.append(Check("agreement", LOOK, "In one place the result differs from the scan; see the worst place."))
    if figures["slice_z_max"] > SLICE_LIMIT:
        checks.append(Check("agreement", LOOK, f"Slice {figures['slice'] + 1} differs from the result as a whole."))
    return checks


def _agreement(decibels: float | None) -> tuple[str, str]:
    if decibels is None or decibels >= GOOD_AGREEMENT:
        return USABLE, ""
    return (
        REFUSE if decibels < LEAST_AGREEMENT else LOOK
    ), f"The result agrees poorly with the scan ({decibels:.1f} dB)."


def _motion_checks(record: Mapping[str, Any]) -> list[Check]:
    motion = (record.get("quality") or {}).get("slice_motion")
    if motion is None:
        return [_missing("motion", "Motion between the slices")]
    if motion["share"] > MANY_JUMPS:
        return [Check("motion", REFUSE, f"{motion['share']:.0%} of the slices do not fit their neighbours: motion.")]
    return [Check("motion", LOOK, reason) for reason in _motion_reasons(motion)] or [Check("motion", USABLE)]


def _motion_reasons(motion: Mapping[str, Any]) -> list[str]:
    found = []
    if motion["displaced"] is not None:
        found.append(
            f"Slice {motion['displaced'] + 1} lies {motion['displacement_mm']:.1f} mm off the one before: "
            "the child may have moved."
        )
    if motion["exchange"]:
        one, other = motion["exchange"]
        found.append(
            f"Slices {one + 1} and {other + 1} fit better in each other's place: check the order of the slices."
        )
    if motion["uneven"] is not None:
        change = 100 * (math.exp(motion["brightness"]) - 1)
        word = "brighter" if change > 0 else "darker"
        found.append(f"Slice {motion['uneven'] + 1} is {abs(change):.0f} % {word} than its neighbours.")
    if motion["slices"] and not found:
        found.append(f"Slice {motion['slice'] + 1} does not fit its neighbours; the child may have moved.")
    return found


def _segmentation_checks(record: Mapping[str, Any]) -> list[Check]:
    if not record.get("classes"):
        return []
    cortex = (record.get("quality") or {}).get("cortex") or {}
    piece = cortex.get("largest_component")
    if piece is None:
        return [Check("pieces", REFUSE, "No cortex was found.")]
    if piece >= LEAST_LARGEST_PIECE:
        return [Check("pieces", USABLE)]
    word = REFUSE if piece < SCATTERED else LOOK
    return [Check("pieces", word, f"The cortex is in {cortex['components']} pieces, the largest {piece:.0%} of it.")]


def _dice_check(dice: Mapping[str, float] | None) -> Check:
    if dice is None:
        return _missing("expected Dice", "The accuracy of the segmentation")
    if dice["value"] < FAIR_DICE:
        return Check("expected Dice", REFUSE, f"The segmentation is expected to be poor (Dice {dice['value']:.2f}).")
    if dice["value"] < GOOD_DICE:
        return Check("expected Dice", LOOK, f"The segmentation is expected to be fair (Dice {dice['value']:.2f}).")
    return Check("expected Dice", USABLE)


_CHECKS: tuple[Callable[[Mapping[str, Any]], list[Check]], ...] = (
    _mask_checks,
    _domain_checks,
    _contrast_checks,
    _agreement_checks,
    _motion_checks,
    _segmentation_checks,
)
