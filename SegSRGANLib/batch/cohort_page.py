"""A cohort as a page: how the figures are distributed, and a table with the worst volumes first."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..results.html_page import render
from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from ..utils.process_pool import DONE, FAILED, SKIPPED, Outcome
from .tables import SUMMARY_COLUMNS, summary_row
from .worker import BatchOptions

_PLOTTED = ("cortex_ml", "consistency_db", "consistency_z", "deviation_percent")
_WORDS = ("name", "status", "reason", "warnings")  # the first columns
_LEFT, _RIGHT, _MIDDLE = 24.0, 536.0, 32.0  # pixels


def write_cohort_report(outcomes: list[Outcome], options: BatchOptions, path: Path, title: str) -> None:
    """Write the page of a batch: a single file; it links to the pages of the volumes where there are any.

    Args:
        outcomes: of all volumes. options: of the batch. path: an .html file in the output folder. title: of the page.

    Raises:
        MissingPackage: jinja2 is not installed.
        VolumeError: the file cannot be written.
    """
    rows = [
        summary_row(outcome) | {"page": _page(outcome, options, path)} for outcome in sorted(outcomes, key=_badness)
    ]
    counts = Counter(outcome.status for outcome in outcomes)
    columns = [name for name in (*_WORDS, *SUMMARY_COLUMNS) if name != "input"]
    shown = [name for name in columns if any(values[name] is not None for values in rows)]
    text = render(
        "cohort.html.j2",
        title=title,
        notice=RESEARCH_USE_ONLY,
        counts=", ".join(f"{count} {status}" for status, count in counts.items()),
        plots=[plot for name in _PLOTTED if (plot := _plot(rows, name))],
        columns={name: SUMMARY_COLUMNS[name] for name in shown},
        rows=rows,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _badness(outcome: Outcome) -> tuple[Any, ...]:
    """Sorts failures first, then by the number of warnings, then by the agreement with the scan."""
    rank = [FAILED, DONE, SKIPPED].index(outcome.status) if outcome.status in (FAILED, DONE, SKIPPED) else 0
    psnr = outcome.record.get("quality", {}).get("consistency", {}).get("psnr")
    agreement = float("inf") if psnr is None else psnr
    return min(rank, 1), -len(outcome.record.get("warnings", [])), agreement, outcome.job.key


def _page(outcome: Outcome, options: BatchOptions, path: Path) -> str | None:
    """Relative address of the volume's own page, if it has one."""
    page = options.layout.path(outcome.job, "report")
    return quote(os.fsencode(Path(os.path.relpath(page, path.parent)).as_posix())) if page.is_file() else None


def _plot(rows: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """A strip of points, one a volume, for the template; None with fewer than two values."""
    found = [(float(r[name]), r["name"]) for r in rows if r[name] is not None]
    if len(found) < 2:
        return None
    low, high = min(found)[0], max(found)[0]
    width = (_RIGHT - _LEFT) / max(high - low, 1e-9)
    points = [
        (round(_LEFT + (value - low) * width, 1), _MIDDLE + 4 * (k % 4 - 1.5), f"{label}: {value:.4g}")
        for k, (value, label) in enumerate(found)
    ]
    return {"title": f"{name}: {SUMMARY_COLUMNS[name]}", "points": points, "low": f"{low:.4g}", "high": f"{high:.4g}"}
