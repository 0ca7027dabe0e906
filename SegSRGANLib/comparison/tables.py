"""Tables of a comparison: every value as CSV; means, intervals and paired differences as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path
from .plan import TRUE_RESOLUTION
from .statistics import Summary, paired, summarize
from .store import DONE, Result


@dataclass(frozen=True)
class Measure:
    """A column of the tables. digits: after the point."""

    name: str
    title: str
    digits: int


INTENSITY = (
    Measure("psnr", "PSNR (dB)", 2),
    Measure("psnr_mask", "PSNR in brain (dB)", 2),
    Measure("ssim", "SSIM", 4),
    Measure("ssim_mask", "SSIM in brain", 4),
)
SEGMENTATION = (
    Measure("dice", "Dice", 3),
    Measure("tolerant_dice", "Dice forgiving one voxel", 3),
    Measure("hd95", "HD95 (mm)", 2),
    Measure("assd", "ASSD (mm)", 3),
    Measure("volume_bias", "volume bias (%)", 1),
)
COST = (Measure("seconds", "seconds", 1), Measure("memory", "memory (MiB)", 0))
MEASURES = (*INTENSITY, *SEGMENTATION, *COST)
_GROUPS = {"Intensity": INTENSITY, "Cortex": SEGMENTATION, "Cost": COST}


@dataclass(frozen=True)
class Table:
    """The results of one factor. titles: the rows in their order. results: with those on the true volume."""

    factor: float
    titles: tuple[str, ...]
    results: tuple[Result, ...]

    def values(self, title: str, measure: str) -> dict[str, float]:
        """One measure of one system by volume, without what is not known."""
        found = {r.subject: value_of(r, measure) for r in self.results if r.system == title and r.status == DONE}
        return {subject: value for subject, value in found.items() if value is not None}

    @property
    def subjects(self) -> int:
        """How many volumes there are."""
        return len({result.subject for result in self.results})


def value_of(result: Result, measure: str) -> float | None:
    """One measure of a result; None where there is none."""
    return getattr(result, measure) if measure in ("seconds", "memory") else result.figures.get(measure)


def tables_of(results: Sequence[Result], factors: Iterable[float]) -> list[Table]:
    """A table a factor; what runs on the true volume does not depend on the factor and stands in each."""
    tables = []
    for factor in factors:
        chosen = tuple(result for result in results if result.factor in (factor, TRUE_RESOLUTION))
        tables.append(Table(factor, tuple(dict.fromkeys(result.system for result in chosen)), chosen))
    return tables


def write_values(results: Sequence[Result], path: Path) -> None:
    """Every result as a row of a CSV file; factor 1 is the true volume."""
    names = [measure.name for measure in MEASURES]
    rows = [
        [r.subject, f"{r.factor:g}", r.system, *(_number(value_of(r, name)) for name in names), r.status, r.reason]
        for r in results
    ]
    _write_csv(path, ["subject", "factor", "system", *names, "status", "reason"], rows)


def write_means(tables: Sequence[Table], path: Path) -> None:
    """Mean, standard deviation and 95 % interval of every measure as CSV."""
    rows = []
    for table in tables:
        for title in table.titles:
            for measure in MEASURES:
                rows += _summary_row(table, (title,), measure, _mean(table, title, measure))
    _write_csv(path, ["factor", "system", "measure", *_SUMMARY], rows)


def write_differences(tables: Sequence[Table], reference: str, path: Path) -> None:
    """Paired differences to a reference system as CSV."""
    rows = []
    for table in tables:
        for title in table.titles:
            for measure in (*INTENSITY, *SEGMENTATION) if title != reference else ():
                rows += _summary_row(table, (title, reference), measure, _difference(table, title, reference, measure))
    _write_csv(path, ["factor", "system", "reference", "measure", *_SUMMARY], rows)


_SUMMARY = ("n", "mean", "sd", "ci_low", "ci_high")


def _summary_row(table: Table, names: tuple[str, ...], measure: Measure, summary: Summary | None) -> list[list[Any]]:
    if summary is None:
        return []
    numbers = (summary.mean, summary.deviation, summary.low, summary.high)
    return [[f"{table.factor:g}", *names, measure.name, summary.n, *map(_number, numbers)]]


def _mean(table: Table, title: str, measure: Measure) -> Summary | None:
    return summarize(list(table.values(title, measure.name).values()))


def _difference(table: Table, title: str, reference: str, measure: Measure) -> Summary | None:
    return paired(table.values(title, measure.name), table.values(reference, measure.name))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def markdown(tables: Sequence[Table], reference: str) -> str:
    """The tables of a paper: intensity, cortex and cost as mean (SD) with 95 % intervals, then paired differences."""
    lines: list[str] = []
    for table in tables:
        count = f"{table.subjects} volume{'s' if table.subjects != 1 else ''}"
        lines += [f"## Factor {table.factor:g}, {count}", ""]
        for name, measures in _GROUPS.items():
            cells = {title: [_mean_cell(table, title, m) for m in measures] for title in table.titles}
            lines += _grid(f"### {name}: mean (SD) [95 % interval of the mean]", measures, cells)
        for name, measures in (("intensity", INTENSITY), ("cortex", SEGMENTATION)):
            cells = {
                title: [_difference_cell(table, title, reference, m) for m in measures]
                for title in table.titles
                if title != reference
            }
            lines += _grid(f"### Paired difference to {reference}, {name}: mean [95 % interval]", measures, cells)
    return "\n".join(lines)


def _grid(heading: str, measures: Sequence[Measure], cells: dict[str, list[str]]) -> list[str]:
    """A Markdown table of the systems that have anything to show; nothing when none has."""
    shown = {title: row for title, row in cells.items() if any(cell != _NONE for cell in row)}
    if not shown:
        return []
    header = ["system", *(measure.title for measure in measures)]
    rows = [f"| {' | '.join(row)} |" for row in (header, *([title, *row] for title, row in shown.items()))]
    return [heading, "", rows[0], "|---" * len(header) + "|", *rows[1:], ""]


_NONE = "-"


def _mean_cell(table: Table, title: str, measure: Measure) -> str:
    summary, d = _mean(table, title, measure), measure.digits
    if summary is None:
        return _NONE
    text = f"{summary.mean:.{d}f}"
    if summary.deviation is not None:
        text += f" ({summary.deviation:.{d}f})"
    if summary.low is not None and measure not in COST:
        text += f" [{summary.low:.{d}f}, {summary.high:.{d}f}]"
    return text + (f", n = {summary.n}" if summary.n < table.subjects else "")


def _difference_cell(table: Table, title: str, reference: str, measure: Measure) -> str:
    summary, d = _difference(table, title, reference, measure), measure.digits
    if summary is None:
        return _NONE
    text = f"{summary.mean:+.{d}f}"
    if summary.low is not None:
        text += f" [{summary.low:+.{d}f}, {summary.high:+.{d}f}]"
    return f"**{text}**" if summary.excludes_zero else text
