"""Atlases: volumes whose tissues are known, with which another volume is segmented."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from ..data.grid import Grid
from ..io.bids import participants, read_bids
from ..io.subject_table import IMAGE, LABELS, TEST, Case, read_table
from ..io.volume import read_labels, read_volume
from ..utils.errors import DataError

_AGE_COLUMNS = ("scan_age", "gestational_age", "post_menstrual_age", "age_weeks")
_AGE_IN_NAME = re.compile(r"[A-Za-z](\d\d)(?:op)?$")
_WEEKS = (18.0, 50.0)  # a number outside is no age of a fetus or newborn


@dataclass(frozen=True)
class Atlas:
    """A brain with known tissues.

    image: T2-weighted, float32. labels: integers on the same grid, 0 outside the brain. age: weeks of gestation (or
    after the last menstruation, for a newborn), None where unknown. fold: of a cross-validation, "" for none.
    """

    name: str
    image: sitk.Image
    labels: sitk.Image
    age: float | None = None
    fold: str = ""


def read_atlases(source: str | os.PathLike[str]) -> list[Atlas]:
    """Read every atlas of a CSV table or a BIDS folder (see `io`), but those marked as test subjects.

    The age is read from the columns scan_age, gestational_age, post_menstrual_age or age_weeks of participants.tsv,
    else from two digits that end the name, as in sub-STA30.

    Args:
        source: a table with the columns HR_image and Label_image, or a folder with *_T2w and *_dseg volumes.

    Raises:
        ValueError: no atlas, a file that cannot be read, an age that is no number, or labels on another grid.
    """
    path = Path(source)
    rows = participants(path) if path.is_dir() else {}
    cases = read_bids(path, (IMAGE, LABELS)) if path.is_dir() else read_table(path, (IMAGE, LABELS), True)
    atlases = [_read(case, rows.get(case.name, {})) for case in cases if case.base != TEST]
    if not atlases:
        raise DataError(f"{path} holds no atlas: every subject with labels is marked as a test subject.")
    return atlases


def _read(case: Case, row: dict[str, str]) -> Atlas:
    image, labels = read_volume(case.image), read_labels(str(case.labels))
    if not Grid.of(image).matches(Grid.of(labels)):
        raise DataError(f"{case.where}: the labels are on another grid than the volume; resample them to it.")
    return Atlas(case.name, image, labels, _age(case.name, row), case.fold)


def _age(name: str, row: dict[str, str]) -> float | None:
    """Weeks: from the table, else from the name."""
    for column in _AGE_COLUMNS:
        text = (row.get(column) or "").strip()
        if text and text.lower() != "n/a":
            try:
                return float(text)
            except ValueError:
                raise DataError(f"{name}: {column} must be a number of weeks, not {text!r}.") from None
    found = _AGE_IN_NAME.search(name)
    age = float(found.group(1)) if found else 0.0
    return age if _WEEKS[0] <= age <= _WEEKS[1] else None
