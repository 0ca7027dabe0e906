"""The table of a batch: one row a volume, with its outcome and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .table import write_table
from .worker import Outcome

COLUMNS = {
    "name": "result",
    "input": "volume",
    "status": "done, skipped, failed, busy or cancelled",
    "reason": "why it was not done",
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


def row(outcome: Outcome) -> dict[str, Any]:
    """The values of one volume, by column; None where there is nothing to say."""
    record = outcome.record
    quality = record.get("quality", {})
    cortex, spread = quality.get("cortex", {}), quality.get("uncertainty", {})
    consistency = quality.get("consistency", {})
    low, high = spread.get("volume_interval_ml") or (None, None)
    return {
        "name": outcome.job.key,
        "input": str(outcome.job.source),
        "status": outcome.status,
        "reason": outcome.reason or None,
        "seconds": record.get("seconds", {}).get("total", round(outcome.seconds, 3)),
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
        "warnings": " ".join(record.get("warnings", [])) or None,
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
    write_table(path, list(COLUMNS), [row(outcome) for outcome in sorted(outcomes, key=lambda o: o.job.key)])
