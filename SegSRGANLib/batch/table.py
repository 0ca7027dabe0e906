"""The tables of a batch: tab-separated values as BIDS writes them, whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path

MISSING = "n/a"


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
        writer.writerow({name: " ".join(str(value).split()) for name, value in values.items()})
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
