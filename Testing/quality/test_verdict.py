"""The verdict: every planted failure is told, and a check that was not made is never one that was passed."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from SegSRGANLib.models.card import ModelCard, Reliability
from SegSRGANLib.quality.predicted_dice import FIGURES, predict_dice
from SegSRGANLib.quality.verdict import LOOK, REFUSE, USABLE, give_verdict, verdict_line

FIT = Reliability(
    {"expected_dice": 1.0, "mask_confidence": 0.0, "log_volume": 0.0}, 0.0, 0.4, ((0.85, -5, 8), (0, -15, 40))
)


def _item(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "training": [low, high], "outside": min(value - low, 0) + max(value - high, 0)}


STILL: dict[str, Any] = {
    "z": 1.5,
    "slice": 7,
    "displacement_mm": 0.3,
    "displaced": None,
    "brightness": 0.05,
    "uneven": None,
    "slices": [],
    "share": 0.0,
    "exchange": None,
}
SOUND: dict[str, Any] = {
    "mask": {"source": "found", "volume_ml": 400.0, "checks": {"confidence": 0.97, "cut": 0.0}},
    "classes": ["cortex"],
    "thickness_ratio": 3.0,
    "quality": {
        "domain": {
            "slices_mm": _item(2.5, 1, 6),
            "cut": _item(0.3, 0, 0.7),
            "brain_ml": _item(400, 60, 650),
            "shape": _item(0.7, 0.6, 0.9),
            "contrast": _item(0.2, 0.0, 0.5),
        },
        "consistency": {"psnr": 38.0, "z_max": 2.0, "slice_z_max": 1.0, "slice": 4},
        "slice_motion": STILL,
        "cortex": {"largest_component": 0.97, "components": 3, "volume_ml": 120.0, "expected_dice": 0.9},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    record = copy.deepcopy(SOUND)
    place = record
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    if value is None and last in place and last in ("cut", "contrast"):
        del place[last]
    else:
        place[last] = value
    return record


def test_a_sound_result_is_usable_without_reasons() -> None:
    verdict = give_verdict(SOUND, FIT)
    assert verdict["word"] == USABLE and verdict["reasons"] == []
    assert verdict["predicted_dice"]["value"] == pytest.approx(0.9)
    assert verdict["volume_bias_percent"] == [-5, 8]
    assert verdict_line({"verdict": verdict}).startswith("Verdict: usable (expected Dice 0.90, ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mask.checks", {"disagreement": None}),
        ("quality.domain.cut", None),
        ("quality.domain.contrast", None),
        ("quality.consistency", None),
        ("quality.slice_motion", None),
        ("quality.cortex.expected_dice", None),
    ],
)
def test_a_check_that_was_not_made_never_leads_to_usable(path: str, value: Any) -> None:
    record = changed(path, value)
    if path == "mask.checks":
        record["mask"]["source"] = "given"
    verdict = give_verdict(record, FIT)
    assert verdict["word"] != USABLE
    assert any(not check["made"] for check in verdict["checks"])
    assert any("could not be checked" in reason for reason in verdict["reasons"])


def test_the_volume_is_as_far_off_as_in_results_that_were_as_good() -> None:
    poor = copy.deepcopy(SOUND)
    poor["quality"]["cortex"]["expected_dice"] = 0.84
    assert give_verdict(poor, FIT)["volume_bias_percent"] == [-15, 40]


@pytest.mark.parametrize("rows", [[], [[0.5, -5, 8]], [[0, -5, 8], [0.5, -5, 8]], [[0, 8, -5]], [-5, 8]])
def test_impossible_rows_of_the_bias_are_refused(rows: list[object]) -> None:
    values = {"weights": {}, "intercept": 0, "half_width": 0.4, "volume_bias_percent": rows}
    with pytest.raises((TypeError, ValueError)):
        Reliability.from_values(values)


def test_without_a_fit_no_dice_is_predicted_and_nothing_is_usable() -> None:
    verdict = give_verdict(SOUND, None)
    assert verdict["word"] == LOOK and verdict["predicted_dice"] is None and verdict["volume_bias_percent"] is None


def test_an_empty_record_is_never_usable() -> None:
    assert give_verdict({}, FIT)["word"] != USABLE
    assert verdict_line({}) == "No verdict was given."


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("mask.volume_ml", 1400.0, REFUSE),
        ("mask.checks.confidence", 0.5, REFUSE),
        ("mask.checks.confidence", 0.85, LOOK),
        ("mask.checks.cut", 0.2, LOOK),
        ("quality.domain.brain_ml", _item(1300, 60, 650), REFUSE),
        ("quality.domain.brain_ml", _item(800, 60, 650), LOOK),
        ("quality.domain.shape", _item(0.4, 0.6, 0.9), LOOK),
        ("quality.domain.cut", _item(0.9, 0, 0.7), LOOK),
        ("quality.domain.contrast", _item(-0.6, 0.0, 0.5), REFUSE),
        ("quality.domain.slices_mm", _item(9, 1, 6), LOOK),
        ("quality.consistency.psnr", 18.0, REFUSE),
        ("quality.consistency.psnr", 25.0, LOOK),
        ("quality.consistency.z_max", 14.0, LOOK),
        ("quality.consistency.slice_z_max", 9.0, LOOK),
        ("quality.slice_motion", STILL | {"z": 12.0, "slices": [7], "share": 0.02}, LOOK),
        ("quality.slice_motion", STILL | {"displacement_mm": 4.2, "displaced": 3, "slices": [3]}, LOOK),
        ("quality.slice_motion", STILL | {"brightness": -0.6, "uneven": 3, "slices": [3]}, LOOK),
        ("quality.slice_motion", STILL | {"exchange": [3, 5]}, LOOK),
        ("quality.slice_motion", STILL | {"z": 12.0, "slices": [1, 2, 3], "share": 0.4}, REFUSE),
        ("quality.cortex.largest_component", None, REFUSE),
        ("quality.cortex.largest_component", 0.3, REFUSE),
        ("quality.cortex.largest_component", 0.7, LOOK),
        ("quality.cortex.expected_dice", 0.5, REFUSE),
        ("quality.cortex.expected_dice", 0.65, LOOK),
    ],
)
def test_each_failure_is_told_with_its_reason(path: str, value: Any, word: str) -> None:
    verdict = give_verdict(changed(path, value), FIT)
    assert verdict["word"] == word
    assert verdict["reasons"] and verdict["reasons"][0].endswith(".")


def test_a_head_without_a_mask_is_looked_at() -> None:
    given = {"source": "none", "checks": {"confidence": 0.95, "stripped": False}}
    assert give_verdict(changed("mask", given), FIT)["word"] == LOOK
    assert (
        give_verdict(changed("mask", given | {"checks": {"confidence": 0.95, "stripped": True}}), FIT)["word"] == USABLE
    )


def test_a_fit_of_other_figures_predicts_nothing() -> None:
    older = Reliability({"expected_dice": 1.0, "thickness": 0.1}, 0.0, 0.4, ((0, -5, 8),))
    assert predict_dice(SOUND, older) is None
    verdict = give_verdict(SOUND, older)
    assert verdict["word"] == LOOK and any(not check["made"] for check in verdict["checks"])


def test_the_interval_is_that_of_the_log_odds() -> None:
    dice = predict_dice(SOUND, FIT)
    assert dice is not None
    odds = math.log(0.9 / 0.1)
    assert dice["low"] == pytest.approx(1 / (1 + math.exp(-(odds - 0.4))), abs=1e-3)
    assert dice["low"] < dice["value"] < dice["high"]
    assert set(FIGURES) == set(FIT.weights)


def test_a_card_keeps_its_reliability() -> None:
    from dataclasses import asdict
    from json import dumps, loads

    card = ModelCard(reliability=FIT)
    assert ModelCard.from_values(loads(dumps(asdict(card)))).reliability == FIT
