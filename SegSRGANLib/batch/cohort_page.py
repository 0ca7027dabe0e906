"""A cohort as a page: how the figures are distributed, and a table with the worst volumes first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..results.html_page import render
from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.process_pool import DONE, SKIPPED, Outcome
from ..visualization.qc_picture import thumbnail_of
from ..visualization.verdict_style import NO_VERDICT, shown_verdict
from .outliers import LEAST_VOLUMES, outliers_of
from .tables import summary_row
from .worker import BatchOptions

_LEFT, _RIGHT, _MIDDLE = 20.0, 360.0, 28.0  # pixels of a plot
_WORST = {"do not use": 1, "look closely": 2, NO_VERDICT: 3, "usable": 4}  # behind what failed


@dataclass(frozen=True)
class Column:
    """A column of figures. title, unit: of its head. help: what it is. trifle: how far from the median a value may lie
    without being an outlier, whatever the others are. sides: -1, low values are suspicious; 1, high ones; 0, both.
    plotted: above the table."""

    title: str
    unit: str
    help: str
    trifle: float
    sides: int = 0
    plotted: bool = False


_COLUMNS = {
    "cortex_ml": Column("cortex", "mL", "volume of the cortex, or of the model's first class", 5.0, 0, True),
    "brain_ml": Column("brain", "mL", "volume of the brain mask", 20.0, 0, True),
    "consistency_db": Column("agreement", "dB", "agreement of result and scan (PSNR): more is better", 2.0, -1, True),
    "consistency_z": Column(
        "largest difference",
        "",
        "largest local difference to the scan, times the usual one: warning from 9",
        3.0,
        1,
        True,
    ),
    "slice_z": Column(
        "worst slice", "", "largest difference of a whole slice, times the usual one: warning from 4.5", 1.5, 1
    ),
    "deviation_percent": Column("unsure", "%", "spread of the intensity over mirrored and shifted runs", 0.5, 1),
    "components": Column("pieces", "", "pieces of the cortex", 5.0, 1),
    "seconds": Column("time", "s", "computing time", float("inf")),
}


def write_cohort_report(outcomes: list[Outcome], options: BatchOptions, path: Path, title: str) -> None:
    """Write the page of a batch: a single file; it links to the pages of the volumes where there are any.

    Args:
        outcomes: of all volumes. options: of the batch. path: an .html file in the output folder. title: of the page.

    Raises:
        MissingPackage: jinja2 or Pillow is not installed.
        VolumeError: the file cannot be written.
    """
    figures = [_figures(outcome) for outcome in outcomes]
    shown = [name for name in _COLUMNS if any(values[name] is not None for values in figures)]
    odd = {name: _odd([values[name] for values in figures], _COLUMNS[name]) for name in shown}
    rows = [
        _row(outcome, options, path) | {"cells": [_cell(values[name], name, k in odd[name]) for name in shown]}
        for k, (outcome, values) in enumerate(zip(outcomes, figures, strict=True))
    ]
    names = [outcome.job.key for outcome in outcomes]
    plotted = [name for name in shown if _COLUMNS[name].plotted]
    plots = [_plot(names, [values[name] for values in figures], _COLUMNS[name], odd[name]) for name in plotted]
    text = render(
        "cohort.html.j2",
        title=title,
        notice=RESEARCH_USE_ONLY,
        counts=_counts(outcomes),
        plots=[plot for plot in plots if plot],
        columns=[_COLUMNS[name] for name in shown],
        rows=sorted(rows, key=lambda row: row["order"]),
        least=LEAST_VOLUMES,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _figures(outcome: Outcome) -> dict[str, float | None]:
    values = summary_row(outcome) | {"brain_ml": (outcome.record.get("mask") or {}).get("volume_ml")}
    return {name: values.get(name) for name in _COLUMNS}


def _odd(values: Sequence[float | None], column: Column) -> set[int]:
    return outliers_of(values, column.trifle, column.sides)


def _row(outcome: Outcome, options: BatchOptions, path: Path) -> dict[str, Any]:
    """What a volume's row shows beside its figures. order: failures first, then by verdict, warnings and agreement."""
    made = outcome.status in (DONE, SKIPPED)
    verdict, warnings = shown_verdict(outcome.record), outcome.record.get("warnings", [])
    psnr = outcome.record.get("quality", {}).get("consistency", {}).get("psnr")
    rank = _WORST[verdict.word] if made else 0
    agreement = float("inf") if psnr is None else psnr
    notes = list(dict.fromkeys((*verdict.reasons, *warnings))) if made else [outcome.reason]
    return {
        "name": outcome.job.key,
        "page": _address(options.layout.path(outcome.job, "report"), path),
        "picture": _address(options.layout.path(outcome.job, "qc"), path),
        "thumbnail": thumbnail_of(options.layout.path(outcome.job, "qc")) if made else None,
        "word": verdict.word if made else outcome.status,
        "style": verdict.style if made else "refuse",
        "dice": verdict.dice if made else "",
        "rank": rank,
        "notes": [note for note in notes if note],
        "order": (rank, -len(warnings), agreement, outcome.job.key),
    }


def _address(file: Path, path: Path) -> str | None:
    """Relative address of a volume's own file, if it has one."""
    return quote(os.fsencode(Path(os.path.relpath(file, path.parent)).as_posix())) if file.is_file() else None


def _cell(value: float | None, name: str, odd: bool) -> dict[str, Any]:
    text = "" if value is None else f"{value:d}" if isinstance(value, int) else f"{value:.3g}"
    return {"value": value, "text": text, "odd": odd}


def _counts(outcomes: list[Outcome]) -> str:
    """For instance "5 volumes: 3 usable, 1 look closely, 1 failed"."""
    made = [shown_verdict(o.record).word if o.status in (DONE, SKIPPED) else o.status for o in outcomes]
    counts = ", ".join(f"{count} {word}" for word, count in Counter(made).items())
    return f"{len(outcomes)} volume{'' if len(outcomes) == 1 else 's'}: {counts}"


def _plot(names: list[str], values: Sequence[float | None], column: Column, odd: set[int]) -> dict[str, Any] | None:
    """A strip of points, one a volume, for the template; None with fewer than two values."""
    found = sorted((float(value), k) for k, value in enumerate(values) if value is not None)
    if len(found) < 2:
        return None
    (low, first), (high, last) = found[0], found[-1]
    width = (_RIGHT - _LEFT) / max(high - low, 1e-9)
    points = [
        (round(_LEFT + (value - low) * width, 1), _MIDDLE + 4 * (n % 4 - 1.5), f"{names[k]}: {value:.4g}", k in odd)
        for n, (value, k) in enumerate(found)
    ]
    unit = f" {column.unit}" if column.unit else ""
    return {
        "title": column.title + (f", {column.unit}" if column.unit else ""),
        "help": column.help,
        "points": points,
        "low": f"{low:.3g}{unit}, {names[first]}",
        "high": f"{high:.3g}{unit}, {names[last]}",
        "outliers": [f"{names[k]} ({value:.3g}{unit})" for value, k in found if k in odd],
        "judged": len(found) >= LEAST_VOLUMES,
    }
