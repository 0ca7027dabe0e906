"""The table of a cohort's volumes, for statistics: one row a result, its columns described beside it as BIDS does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path
from .table import write_table
from .worker import Outcome

# Named and described as in a sidecar of BIDS; the values come from the records.
COLUMNS: dict[str, dict[str, str]] = {
    "participant_id": {"Description": "participant, or the name of the result when it has no participant"},
    "session_id": {"Description": "session"},
    "result": {"Description": "name of the result, as in the summary"},
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


def write_volumes(outcomes: list[Outcome], path: Path) -> None:
    """Write the table of the volumes that have a result, and beside it a .json file that describes its columns.

    Args:
        outcomes: of the batch. path: a .tsv file.

    Raises:
        VolumeError: the folder cannot be written.
    """
    known = sorted((o for o in outcomes if o.record.get("quality", {}).get("cortex")), key=lambda o: o.job.key)
    write_table(path, list(COLUMNS), [_row(outcome) for outcome in known])
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(COLUMNS, indent=2) + "\n", encoding="utf-8")


def _row(outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    cortex, spread = record["quality"]["cortex"], record["quality"].get("uncertainty", {})
    low, high = (_cubic(value) for value in spread.get("volume_interval_ml") or (None, None))
    entities = dict(re.findall(r"(?:^|_)(sub|ses)-([A-Za-z0-9+]+)", outcome.job.name))
    return {
        "participant_id": f"sub-{entities['sub']}" if "sub" in entities else outcome.job.key,
        "session_id": f"ses-{entities['ses']}" if "ses" in entities else None,
        "result": outcome.job.key,
        "cortex_volume": _cubic(cortex["volume_ml"]),
        "cortex_volume_low": low,
        "cortex_volume_high": high,
        "cortex_volume_expected": _cubic(cortex["expected_volume_ml"]),
        "cortex_surface": round(100 * cortex["surface_cm2"], 1),
        **{name: cortex[name] for name in ("euler_number", "components", "largest_component")},
        "spacing": record["options"]["spacing"],
        "model": record["model"]["name"],
        "warnings": len(record.get("warnings", [])),
    }


def _cubic(millilitres: float | None) -> float | None:
    return None if millilitres is None else round(1000 * millilitres, 1)
