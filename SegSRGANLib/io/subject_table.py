"""Subjects on disk: the rows of a CSV table; `bids` lists those of a BIDS folder."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..utils.errors import DataError

TRAIN, TEST = "Train", "Test"
IMAGE, LABELS, BASE, MASK, WEIGHT, FOLD = "HR_image", "Label_image", "Base", "Mask_image", "Weight", "Fold"
_COLUMNS = (IMAGE, LABELS, BASE)
_ENTITY = re.compile(r"(sub-[A-Za-z0-9]+)")


@dataclass(frozen=True)
class Case:
    """One subject's files.

    labels: None where the list has none. base: TRAIN, TEST, or "" where the list does not say. where: its line in the
    table, or its name, for the messages. mask: of the brain. weight: how often training draws it. fold: of a
    cross-validation, "" where the list does not say.
    """

    name: str
    image: Path
    labels: Path | None
    base: str
    where: str
    mask: Path | None = None
    weight: float = 1.0
    fold: str = ""


def read_table(path: Path, required: Collection[str] = (IMAGE,), skip_labels_alone: bool = False) -> list[Case]:
    """List the subjects of a CSV table.

    Args:
        path: table with the columns HR_image, Label_image, Base (Train or Test), Mask_image, Weight and Fold; relative
            paths are relative to its folder, and $VARIABLES are replaced.
        required: the columns that must be there and filled; the others may be absent or empty.
        skip_labels_alone: leave out rows without an image, which only `segsrgan pack` can use.

    Raises:
        DataError: no text, a missing column or file, an unknown Base, or a weight that is not positive.
    """
    if not path.is_file():
        raise DataError(f"There is no table {path}.")
    with open_table(path) as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        missing = [name for name in _COLUMNS if name in required and name not in (reader.fieldnames or [])]
        if missing:
            needed = ", ".join(name for name in _COLUMNS if name in required)
            raise DataError(f"{path.name} has no column {missing[0]}; it needs {needed}.")
        rows = (row for row in reader if any(row.values()) and (row.get(IMAGE) or not skip_labels_alone))
        return [_row(row, path, reader.line_num, required) for row in rows]


@contextmanager
def open_table(path: Path) -> Generator[TextIO]:
    """Open a table as text.

    Raises:
        DataError: in other encodings than UTF-8 spreadsheets save names with accents that cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            yield stream
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} is not a table as text ({error}); save it as CSV in UTF-8.") from error


def _row(row: dict[str, str | None], table: Path, line: int, required: Collection[str]) -> Case:
    where = f"{table.name}, line {line}"
    image = _file(row.get(IMAGE), table.parent, where)
    labels = _file(row.get(LABELS), table.parent, where) if LABELS in required or row.get(LABELS) else None
    mask = _file(row[MASK], table.parent, where) if row.get(MASK) else None
    base = base_of(row.get(BASE), where, BASE in required)
    return Case(
        subject_name(image),
        image,
        labels,
        base,
        where,
        mask,
        weight_of(row.get(WEIGHT), where),
        (row.get(FOLD) or "").strip(),
    )


def _file(text: str | None, folder: Path, where: str) -> Path:
    if not text or not text.strip():
        raise DataError(f"{where}: a file name is missing.")
    path = folder / os.path.expandvars(os.path.expanduser(text.strip()))
    if not path.exists():
        raise DataError(f"{where}: there is no file {path}.")
    return path


def base_of(text: str | None, where: str, required: bool) -> str:
    """TRAIN, TEST, or "" where that is allowed.

    Raises:
        DataError: anything else.
    """
    base = (text or "").strip().capitalize()
    if base not in ((TRAIN, TEST) if required else (TRAIN, TEST, "")):
        raise DataError(f"{where}: Base must be Train or Test, not {base!r}.")
    return base


def weight_of(text: str | None, where: str) -> float:
    """A positive number; 1 for an empty text.

    Raises:
        DataError: anything else.
    """
    try:
        weight = float(text) if text and text.strip() else 1.0
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise DataError(f"{where}: Weight must be a positive number, not {text!r}.")
    return weight


def subject_name(image: Path) -> str:
    """The BIDS entity sub-XX when the name has one, else the file's name without its extensions."""
    entity = _ENTITY.search(image.name)
    return entity.group(1) if entity else image.name.split(".")[0]
