"""What a comparison leaves for its reader: tables, box plots and a record of how it was made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from .boxplots import draw_boxes
from .plan import Plan
from .statistics import RESAMPLES, SEED
from .store import Result
from .systems import BAND_LIMITED
from .tables import markdown, tables_of, write_differences, write_means, write_values

PICTURES = "pictures"
_PROTOCOL = (
    "Thick slices were simulated along the {axis} axis by the paper's observation model, without noise{in_plane}; the "
    "factor is their thickness in voxels. Every result is compared with the true volume on its grid, intensities "
    'divided by the largest one. Cortex: label {label}. "On HR" segments the true volume itself. Seconds lead from the '
    "slices to the result, of one core's time (on a GPU, of the clock's); memory is what the work takes on top of the "
    "program, the volume and the atlases. Intervals: bootstrap over the volumes ({resamples} resamples, seed {seed}). "
    "A difference is bold when its interval does not hold zero."
)
_YARDSTICK = " The band-limited truth holds nothing above the slices' Nyquist frequency, which has to be predicted."
_FOLDS = " Volumes of the folds {folds}; the atlases are those of the other folds, of which none is the volume's own."


def write_outputs(results: Sequence[Result], plan: Plan, problems: Sequence[str]) -> dict[str, Path]:
    """Write everything that is made of all results.

    Returns:
        Files by what they hold.

    Raises:
        VolumeError: the folder cannot be written.
    """
    outdir, tables = plan.options.outdir, tables_of(results, plan.options.factors)
    names = {"tables": "tables.md", "values": "values.csv", "means": "means.csv", "differences": "differences.csv"}
    files = {key: outdir / name for key, name in names.items()}
    files |= {"boxes": outdir / "boxplots.png", "pictures": outdir / PICTURES, "record": outdir / "comparison.json"}
    write_values(results, files["values"])
    write_means(tables, files["means"])
    write_differences(tables, plan.reference, files["differences"])
    draw_boxes(tables, files["boxes"])
    record = describe(plan, problems)
    _write(files["record"], json.dumps(record, indent=2) + "\n")
    _write(files["tables"], _page(plan, record, markdown(tables, plan.reference), problems))
    return files


def describe(plan: Plan, problems: Sequence[str]) -> dict[str, object]:
    """How the comparison was made, as JSON values."""
    options = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(plan.options).items()}
    return {
        "notice": RESEARCH_USE_ONLY,
        "software": {"segsrgan": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": machine(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "options": options,
        "systems": asdict(plan.systems),
        "weights": {name: sha256 for name, sha256 in plan.weights.items() if sha256},
        "segmenters": plan.tools.settings if plan.systems.segmenters else None,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
        "problems": list(problems),
    }


def machine() -> str:
    """The processor and its number of cores, as far as the system says."""
    listed, name = Path("/proc/cpuinfo"), platform.processor()
    if listed.is_file():
        models = [line for line in listed.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    return f"{name or platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def _protocol(plan: Plan) -> str:
    """How it was measured, in words."""
    options = plan.options
    finer = "" if options.in_plane is None else f", voxels of {options.in_plane:g} mm inside the slices"
    axis = ("first", "second", "third")[options.axis]
    text = _PROTOCOL.format(label=options.label, resamples=RESAMPLES, seed=SEED, axis=axis, in_plane=finer)
    if any(method.name == BAND_LIMITED for method in plan.systems.methods):
        text += _YARDSTICK
    if options.folds and plan.systems.segmenters:
        text += _FOLDS.format(folds=", ".join(options.folds))
    return text


def _page(plan: Plan, record: dict[str, Any], tables: str, problems: Sequence[str]) -> str:
    options = record["options"]
    weights = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in record["weights"].items())
    lines = [
        f"# Comparison on {Path(str(options['data'])).stem}",
        "",
        f"{RESEARCH_USE_ONLY}",
        "",
        _protocol(plan),
        "",
        f"Made with segsrgan {__version__} on {record['machine']}, {str(record['date'])[:10]}."
        + (f" Models (SHA-256): {weights}." if weights else ""),
        "",
    ]
    if problems:
        lines += ["## Missing", "", *(f"- {problem}" for problem in problems), ""]
    return "\n".join([*lines, tables]).rstrip() + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
