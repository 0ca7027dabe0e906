"""Which volumes to train and test on: a CSV table or a BIDS folder."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TRAIN, TEST = "Train", "Test"
_COLUMNS = ("HR_image", "Label_image", "Base")
_ENTITY = re.compile(r"(sub-[A-Za-z0-9]+)")


class DataError(ValueError):
    """The training data cannot be used; the message says where and why in one sentence."""


@dataclass(frozen=True)
class Case:
    """One subject's files. where: its line in the table, or its name, for the messages."""

    name: str
    image: Path
    labels: Path
    base: str
    where: str
    mask: Path | None = None
    weight: float = 1.0


def read_cases(csv_file: str | None, bids: str | None, test_share: float, seed: int) -> list[Case]:
    """List the subjects and check that they can be trained on.

    Args:
        csv_file: table with the columns HR_image, Label_image, Base (Train or Test), and optionally Mask_image and
            Weight; relative paths are relative to its folder, and $VARIABLES are replaced.
        bids: or a BIDS folder: every `*_T2w` with a `*_dseg` beside it. participants.tsv may have Base and Weight.
        test_share: of the BIDS subjects without a Base, chosen by `seed`.

    Raises:
        DataError: a missing column or file, an unknown Base, an empty split, or a subject in both splits.
    """
    cases = _from_csv(Path(csv_file)) if csv_file is not None else _from_bids(Path(str(bids)), test_share, seed)
    source = csv_file if csv_file is not None else bids
    for base in (TRAIN, TEST):
        if not any(case.base == base for case in cases):
            raise DataError(f"{source} has no subject with Base = {base}; both Train and Test need at least one.")
    _refuse_leaks(cases)
    return cases


def _from_csv(path: Path) -> list[Case]:
    if not path.is_file():
        raise DataError(f"There is no table {path}.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DataError(f"{path.name} has no column {missing[0]}; it needs {', '.join(_COLUMNS)}.")
        return [_row(row, path, reader.line_num) for row in reader if any(row.values())]


def _row(row: dict[str, str | None], table: Path, line: int) -> Case:
    where = f"{table.name}, line {line}"
    image = _file(row["HR_image"], table.parent, where)
    labels = _file(row["Label_image"], table.parent, where)
    mask = _file(row["Mask_image"], table.parent, where) if row.get("Mask_image") else None
    base = (row["Base"] or "").strip().capitalize()
    return Case(_subject_name(image), image, labels, _base(base, where), where, mask, _weight(row.get("Weight"), where))


def _file(text: str | None, folder: Path, where: str) -> Path:
    if not text or not text.strip():
        raise DataError(f"{where}: a file name is missing.")
    path = folder / os.path.expandvars(os.path.expanduser(text.strip()))
    if not path.exists():
        raise DataError(f"{where}: there is no file {path}.")
    return path


def _base(text: str, where: str) -> str:
    if text not in (TRAIN, TEST):
        raise DataError(f"{where}: Base must be Train or Test, not {text!r}.")
    return text


def _weight(text: str | None, where: str) -> float:
    try:
        weight = float(text) if text and text.strip() else 1.0
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise DataError(f"{where}: Weight must be a positive number, not {text!r}.")
    return weight


def _subject_name(image: Path) -> str:
    """The BIDS entity sub-XX when the name has one, else the file's name without its extensions."""
    entity = _ENTITY.search(image.name)
    return entity.group(1) if entity else image.name.split(".")[0]


def _from_bids(root: Path, test_share: float, seed: int) -> list[Case]:
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    images = sorted(
        path for pattern in ("sub-*/anat/*_T2w.nii*", "sub-*/ses-*/anat/*_T2w.nii*") for path in root.glob(pattern)
    )
    pairs = [(image, labels) for image in images if (labels := _sibling(image, "dseg")) is not None]
    if not pairs:
        raise DataError(f"{root} holds no subject with both a *_T2w and a *_dseg volume in its anat folder.")
    table = _participants(root)
    names = sorted({_subject_name(image) for image, _ in pairs})
    chosen = _test_subjects([name for name in names if not table.get(name, {}).get("Base")], test_share, seed)
    cases = []
    for image, labels in pairs:
        name, row = _subject_name(image), table.get(_subject_name(image), {})
        base = _base((row.get("Base") or (TEST if name in chosen else TRAIN)).strip().capitalize(), name)
        mask = _sibling(image, "desc-brain_mask")
        cases.append(Case(name, image, labels, base, image.name, mask, _weight(row.get("Weight"), name)))
    return cases


def _sibling(image: Path, suffix: str) -> Path | None:
    stem, _, extension = image.name.rpartition("_T2w")
    path = image.with_name(f"{stem}_{suffix}{extension}")
    return path if path.is_file() else None


def _participants(root: Path) -> dict[str, dict[str, str]]:
    path = root / "participants.tsv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {row["participant_id"]: row for row in rows if row.get("participant_id")}


def _test_subjects(names: list[str], share: float, seed: int) -> set[str]:
    if not names:
        return set()
    count = min(len(names) - 1, max(1, round(share * len(names))))
    return set(np.random.default_rng(seed).permutation(names)[:count].tolist())


def _refuse_leaks(cases: Iterable[Case]) -> None:
    """A subject, or a file, must not be in both splits: the test figures would flatter."""
    seen: dict[object, Case] = {}
    for case in cases:
        for key in (case.name, case.image.resolve()):
            other = seen.setdefault(key, case)
            if other.base != case.base:
                raise DataError(
                    f"{case.where}: {case.name} is in both Train and Test ({other.where}); keep it in one of them."
                )
