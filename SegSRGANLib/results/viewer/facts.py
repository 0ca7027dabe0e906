"""What the page says beside the pictures: verdict, warnings, volumes, and the places to look at first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.grid import place_in_words
from ...io.volume import read_volume
from ...utils.errors import VolumeError
from .study import Study

_APART = 10.0  # mm between two places of one map
_PLACES = 3  # of one map
_MAPS = {
    "consistency": "largest disagreement with the scan",
    "sr-deviation": "most unsure intensity",
    "cortex-entropy": "most unsure segmentation",
}
_VERDICTS = {"usable": "usable", "look closely": "look-closely", "do not use": "do-not-use"}  # word, class in page.css


def verdict_of(record: dict[str, Any]) -> dict[str, Any] | None:
    """The verdict as {"word", "style", "reasons", "dice"}, or None where the record has none."""
    verdict = record.get("verdict")
    if not isinstance(verdict, dict) or not isinstance(verdict.get("word"), str):
        return None
    word = verdict["word"]
    dice = verdict.get("predicted_dice")
    return {
        "word": word,
        "style": _VERDICTS.get(word, "look-closely"),
        "reasons": [str(reason) for reason in verdict.get("reasons") or []],
        "dice": _dice_in_words(dice),
    }


def _dice_in_words(dice: Any) -> str:
    """A predicted Dice: a number, [low, high], or {"value", "low", "high"}; empty where there is none."""
    if isinstance(dice, dict):
        value, low, high = (dice.get(key) for key in ("value", "low", "high"))
        between = f" ({low:.2f} to {high:.2f})" if _is_number(low) and _is_number(high) else ""
        return f"{value:.2f}{between}" if _is_number(value) else between.strip(" ()")
    if isinstance(dice, list | tuple) and len(dice) == 2 and all(map(_is_number, dice)):
        return f"{dice[0]:.2f} to {dice[1]:.2f}"
    return f"{dice:.2f}" if _is_number(dice) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def places_of(study: Study) -> list[dict[str, Any]]:
    """The places to look at first, as {"title", "where", "mm"}; mm are RAS, as NIfTI and the viewer have them.

    With the maps beside the result these are the largest values of each map, 10 mm apart; else what the record names.
    """
    places = [
        _place(f"{title}, {number}", point)
        for role, title in _MAPS.items()
        if role in study.files
        for number, point in enumerate(_peaks(study.files[role]), start=1)
    ]
    recorded = study.record.get("quality", {}).get("consistency", {}).get("z_max_position_lps")
    if "consistency" not in study.files and isinstance(recorded, list) and len(recorded) == 3:
        places.insert(0, _place(_MAPS["consistency"], [float(v) for v in recorded]))
    return places


def _place(title: str, lps: list[float]) -> dict[str, Any]:
    return {"title": title, "where": place_in_words(lps), "mm": [-lps[0], -lps[1], lps[2]]}


def _peaks(path: Path) -> list[list[float]]:
    """The physical points (LPS, mm) of a map's largest absolute values, at least `_APART` from each other.

    None of a map that is the same everywhere, or damaged: `page.layers_of` says so.
    """
    try:
        image = read_volume(path)
    except VolumeError:
        return []
    values = np.abs(sitk.GetArrayFromImage(image).astype(np.float32))
    spacing = np.array(image.GetSpacing())[::-1]
    points = []
    while len(points) < _PLACES and (largest := float(values.max())) > 0 and math.isfinite(largest):
        index = np.array(np.unravel_index(int(values.argmax()), values.shape))
        points.append(list(image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])))
        reach = np.ceil(_APART / spacing).astype(int)
        around = tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(index, reach, strict=True))
        values[around] = 0
    return points
