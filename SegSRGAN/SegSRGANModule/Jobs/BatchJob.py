"""Many volumes: the batch engine of the shell in a child process, and how each volume stands.

The list of volumes, the places of their results and the table are the engine's own, so a batch that was begun in a
shell or on a cluster goes on here, and the other way round.
"""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ..Scene import DicomDatabase
from ..Settings import EnhanceSettings
from .ChildProcess import ChildProcess, Outcome

WAITING, DONE = "waiting", "done"
_GRACE = 10_000  # ms between Stop and the end of the child; each volume is written whole or not at all
_VERDICT_UNKNOWN = ""
_DICOM_LIST = "dicom-series.csv"


@dataclass(frozen=True)
class Case:
    """One volume of a batch.

    state: waiting, or a status of summary.tsv. verdict, volume: from its record, "" before. reason: why it failed.
    record: where its record is, once it is done.
    """

    name: str
    source: Path
    state: str
    verdict: str
    volume: str
    reason: str
    record: Path


def check(source: str, output: str) -> None:
    """Raise ValueError with what is missing, before anything starts."""
    cases(source, output, EnhanceSettings())


def cases(source: str, output: str, settings: EnhanceSettings) -> list[Case]:
    """Every volume of a folder, BIDS dataset or list, and how it stands in the output folder.

    Raises:
        ValueError: nothing to do, or a folder that cannot be used; the engine's own sentence.
    """
    from SegSRGANLib.batch.jobs import find_jobs
    from SegSRGANLib.batch.layout import Layout

    if not source or not output:
        raise ValueError(_("Choose the folder or list of the volumes, and a folder for the results."))
    summary = _summary(Path(output) / "summary.tsv")
    side = settings.spacing
    layout = Layout(Path(output).absolute(), (side, side, side))
    return [_case(job.key, job.source, layout.record(job), summary) for job in find_jobs(source, output)]


def writeList(series: list[DicomDatabase.Series], output: str) -> Path:
    """A list of DICOM series for the engine, in the folder of the results, which are called after patient and series.

    Raises:
        ValueError: no folder for the results. OSError: it cannot be written.
    """
    if not output:
        raise ValueError(_("Choose the folder for the results first."))
    path, taken = Path(output) / _DICOM_LIST, set()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["input", "output"])
        for one in series:
            plain = re.sub(r"[^A-Za-z0-9-]+", "-", f"{one.patientId}_{one.date}_{one.description}").strip("-")
            name, number = plain or "series", 1
            while name.lower() in taken:
                number += 1
                name = f"{plain}-{number}"
            taken.add(name.lower())
            writer.writerow([one.file, name])
    return path


def start(
    source: str,
    output: str,
    settings: EnhanceSettings,
    completed: Callable[[Outcome], None],
    progress: Callable[[dict], None] = lambda message: None,
) -> ChildProcess:
    """Begin a batch, or go on with one: finished volumes are skipped."""
    arguments = ["batch", str(source), "-o", str(output), "--maps", "--report", *settings.batchArguments()]
    return ChildProcess(arguments, completed, progress, graceMilliseconds=_GRACE).start()


def _case(key: str, source: Path, record: Path, summary: dict[str, dict[str, str]]) -> Case:
    row = summary.get(key, {})
    values = _record(record)
    verdict = (values.get("verdict") or {}).get("word", _VERDICT_UNKNOWN)
    volume = values.get("quality", {}).get("cortex", {}).get("volume_ml")
    state = DONE if values else row.get("status", WAITING)
    reason = "" if values or row.get("reason") in (None, "n/a") else row["reason"]
    return Case(key, source, state, verdict, "" if volume is None else f"{volume:.1f}", reason, record)


def _record(path: Path) -> dict:
    """Of a whole result; {} while there is none."""
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@functools.lru_cache(maxsize=4096)
def _parsed(path: Path, stamp: int) -> dict:
    """A record is read once: the table looks at a whole cohort again and again."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return values if isinstance(values, dict) else {}


def _summary(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["name"]: row for row in csv.DictReader(stream, delimiter="\t") if "name" in row}
