"""The tables of a batch: tab-separated values as BIDS writes them, whole or not at all.

`summary.tsv` has one row a volume, with its outcome and its figures. `volumes.tsv` is for statistics: one row a result,
its columns described beside it as BIDS does.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path
from ..utils.process_pool import Outcome

SUMMARY_COLUMNS = {
    "name": "result",
    "input": "volume",
    "status": "done, skipped, failed, busy or cancelled",
    "reason": "why it was not done",
    "verdict": "usable, look closely or do not use",
    "verdict_reasons": "why",
    "predicted_dice": "expected Dice of the cortex",
    "predicted_dice_low": "lower end of the interval that held nine in ten results",
    "predicted_dice_high": "upper end",
    "seconds": "computing time",
    "cortex_ml": "volume of the cortex, mL",
    "cortex_low_ml": "lower end of its interval over mirrored and shifted runs",
    "cortex_high_ml": "upper end",
    "cortex_cm2": "surface of the cortex, cm2",
    "euler_number": "pieces - tunnels + cavities of the cortex",
    "components": "pieces of the cortex",
    "consistency_db": "agreement of result and scan, PSNR in dB",
    "consistency_z": "largest local disagreement, robust standard deviations",
    "slice_z": "largest disagreement of a slice",
    "deviation_percent": "spread of the intensity over the runs",
    "outside_training": "what lies outside of the training, and how far: nothing, or for instance slices_mm +0.7",
    "warnings": "sentences about what to look at",
}
MISSING = "n/a"
_FORMULA = tuple("=+-@")
# Named and described as in a sidecar of BIDS; the values come from the records.
VOLUME_COLUMNS: dict[str, dict[str, str]] = {
    "participant_id": {"Description": "participant, or the name of the result when it has no participant"},
    "session_id": {"Description": "session"},
    "result": {"Description": "name of the result, as in the summary"},
    "verdict": {"Description": "usable, look closely or do not use; reasons in the summary"},
    "cortex_volume": {"Description": "volume of the segmentation of the cortical grey matter", "Units": "mm^3"},
    "cortex_volume_low": {
        "Description": "mean minus two standard deviations over runs on mirrored and shifted copies of the scan",
        "Units": "mm^3",
    },
    "cortex_volume_high": {"Description": "mean plus two standard deviations over these runs", "Units": "mm^3"},
    "cortex_volume_expected": {"Description": "sum of the probability of cortical grey matter", "Units": "mm^3"},
    "cortex_surface": {"Description": "area of the segmentation's surface, by the Crofton formula", "Units": "mm^2"},
    "euler_number": {"Description": "pieces - tunnels + cavities of the segmentation; corners connect"},
    "components": {"Description": "pieces of the segmentation"},
    "largest_component": {"Description": "share of the largest piece in the volume, from 0 to 1"},
    "spacing": {"Description": "edge of a voxel of the result", "Units": "mm"},
    "model": {"Description": "name of the model; its hash is in the record of the result"},
    "warnings": {"Description": "number of warnings in the record: look at these results first"},
}


def summary_row(outcome: Outcome) -> dict[str, Any]:
    """The values of one volume, by column; None where there is nothing to say."""
    record = outcome.record
    return {
        "name": outcome.job.key,
        "input": " ".join(str(path) for path in outcome.job.sources),
        "status": outcome.status,
        "reason": outcome.reason or None,
        **_verdict_values(record.get("verdict") or {}),
        "seconds": record.get("seconds", {}).get("total", round(outcome.seconds, 3)),
        **_quality_values(record.get("quality", {})),
        "warnings": " ".join(record.get("warnings", [])) or None,
    }


def _verdict_values(verdict: dict[str, Any]) -> dict[str, Any]:
    dice = verdict.get("predicted_dice") or {}
    return {
        "verdict": verdict.get("word"),
        "verdict_reasons": " ".join(verdict.get("reasons", [])) or None,
        "predicted_dice": dice.get("value"),
        "predicted_dice_low": dice.get("low"),
        "predicted_dice_high": dice.get("high"),
    }


def _quality_values(quality: dict[str, Any]) -> dict[str, Any]:
    cortex, spread = quality.get("cortex", {}), quality.get("uncertainty", {})
    consistency = quality.get("consistency", {})
    low, high = spread.get("volume_interval_ml") or (None, None)
    return {
        "cortex_ml": cortex.get("volume_ml"),
        "cortex_low_ml": low,
        "cortex_high_ml": high,
        "cortex_cm2": cortex.get("surface_cm2"),
        "euler_number": cortex.get("euler_number"),
        "components": cortex.get("components"),
        "consistency_db": consistency.get("psnr"),
        "consistency_z": consistency.get("z_max"),
        "slice_z": consistency.get("slice_z_max"),
        "deviation_percent": spread.get("deviation_percent"),
        "outside_training": _outside(quality.get("domain")),
    }


def _outside(domain: dict[str, Any] | None) -> str | None:
    """The items outside of their range with their distance from it; see `preflight.judge`."""
    if domain is None:
        return None
    return "; ".join(f"{name} {item['outside']:+.3g}" for name, item in domain.items() if item["outside"]) or "nothing"


def write_summary(outcomes: list[Outcome], path: Path) -> None:
    """Write the table of all volumes.

    Raises:
        VolumeError: the folder cannot be written.
    """
    write_table(
        path, list(SUMMARY_COLUMNS), [summary_row(outcome) for outcome in sorted(outcomes, key=lambda o: o.job.key)]
    )


def table_path(outdir: Path, name: str, part: str | None = None) -> Path:
    """Where a table of a batch, or of one shard of it ("2/5"), goes."""
    return outdir / (f"{name}.tsv" if part is None else f"{name}_shard-{part.replace('/', '-of-')}.tsv")


def write_table(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Write rows of values by column; None becomes "n/a".

    Raises:
        VolumeError: the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = {name: MISSING if value is None else value for name, value in row.items()}
        writer.writerow({name: _cell(value) for name, value in values.items()})
    with atomic_path(path) as temporary:  # a name that is not UTF-8 must not cost the others their table
        temporary.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")


def _cell(value: Any) -> str:
    """A value on one line; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = " ".join(str(value).split())
    return f"'{text}" if isinstance(value, str) and text[:1] in _FORMULA else text


def write_volumes(outcomes: list[Outcome], path: Path) -> None:
    """Write the table of the volumes that have a result, and beside it a .json file that describes its columns.

    Args:
        outcomes: of the batch. path: a .tsv file.

    Raises:
        VolumeError: the folder cannot be written.
    """
    known = sorted((o for o in outcomes if o.record.get("quality", {}).get("cortex")), key=lambda o: o.job.key)
    write_table(path, list(VOLUME_COLUMNS), [_volume_row(outcome) for outcome in known])
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(VOLUME_COLUMNS, indent=2) + "\n", encoding="utf-8")


def _volume_row(outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    cortex, spread = record["quality"]["cortex"], record["quality"].get("uncertainty", {})
    low, high = (_cubic(value) for value in spread.get("volume_interval_ml") or (None, None))
    entities = dict(re.findall(r"(?:^|_)(sub|ses)-([A-Za-z0-9+]+)", outcome.job.name))
    return {
        "participant_id": f"sub-{entities['sub']}" if "sub" in entities else outcome.job.key,
        "session_id": f"ses-{entities['ses']}" if "ses" in entities else None,
        "result": outcome.job.key,
        "verdict": (record.get("verdict") or {}).get("word"),
        "cortex_volume": _cubic(cortex["volume_ml"]),
        "cortex_volume_low": low,
        "cortex_volume_high": high,
        "cortex_volume_expected": _cubic(cortex["expected_volume_ml"]),
        "cortex_surface": round(100 * cortex["surface_cm2"], 1),
        **{name: cortex[name] for name in ("euler_number", "components", "largest_component")},
        "spacing": record.get("output", {}).get("spacing", [record["options"]["spacing"]])[0],
        "model": record["model"]["name"],
        "warnings": len(record.get("warnings", [])),
    }


def _cubic(millilitres: float | None) -> float | None:
    return None if millilitres is None else round(1000 * millilitres, 1)
