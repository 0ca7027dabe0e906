"""Which volumes to train and test on: a CSV table or a BIDS folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...io.bids import read_bids
from ...io.subject_table import BASE, IMAGE, LABELS, TEST, TRAIN, Case, read_table
from ...utils.errors import DataError


def read_cases(
    csv_file: str | None, bids: str | None, test_share: float, seed: int, held_out_fold: str = ""
) -> list[Case]:
    """List the subjects and check that they can be trained on.

    Args:
        csv_file: table with the columns HR_image, Label_image, Base (Train or Test), and optionally Mask_image and
            Weight; see `..cases.read_table`.
        bids: or a BIDS folder: every `*_T2w` with a `*_dseg` beside it. participants.tsv may have Base and Weight.
        held_out_fold: of a table whose column Fold stands in the place of Base: this fold is Test, the others Train.
            Rows with a label map alone are left out.
        test_share: of the BIDS subjects without a Base, chosen by `seed`.

    Raises:
        DataError: a missing column or file, an unknown Base, an empty split, or a subject in both splits.
    """
    if csv_file is not None:
        cases = _of_table(Path(csv_file), held_out_fold)
    else:
        cases = _split(read_bids(Path(str(bids)), (IMAGE, LABELS)), test_share, seed)
    source = csv_file if csv_file is not None else bids
    for base in (TRAIN, TEST):
        if not any(case.base == base for case in cases):
            raise DataError(f"{source} has no subject with Base = {base}; both Train and Test need at least one.")
    _refuse_leaks(cases)
    return cases


def _of_table(path: Path, held_out_fold: str) -> list[Case]:
    if not held_out_fold:
        return read_table(path, (IMAGE, LABELS, BASE))
    cases = read_table(path, (IMAGE, LABELS), skip_labels_alone=True)
    return [replace(case, base=TEST if case.fold == held_out_fold else TRAIN) for case in cases]


def _split(cases: list[Case], share: float, seed: int) -> list[Case]:
    """The cases, those without a Base split at random (seeded), all volumes of a subject alike."""
    chosen = _test_subjects(sorted({case.name for case in cases if not case.base}), share, seed)
    return [replace(case, base=case.base or (TEST if case.name in chosen else TRAIN)) for case in cases]


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
