"""BIDS datasets: which volumes they hold, and how files are named in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ..utils.errors import DataError
from .subject_table import BASE, IMAGE, LABELS, WEIGHT, Case, base_of, open_table, subject_name, weight_of

# BIDS 1.10, the order of the entities in a file name
_ORDER = (
    *("sub", "ses", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec", "dir", "run"),
    *("mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "split", "recording", "chunk", "atlas"),
    *("seg", "scale", "res", "den", "label", "desc"),
)
_BIDS_FILE = re.compile(r"sub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9+]+)*_T2w\.nii(\.gz)?")


def read_bids(root: Path, required: Collection[str] = (IMAGE,)) -> list[Case]:
    """List the subjects of a BIDS folder: every `*_T2w`, with the `*_dseg` and the `*_desc-brain_mask` beside it.

    Args:
        root: of the dataset. participants.tsv may have the columns Base and Weight.
        required: with Label_image in it, volumes without a `*_dseg` are left out.

    Raises:
        DataError: no folder, no subject, an unknown Base, or a weight that is not positive.
    """
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    images = sorted(
        path for pattern in ("sub-*/anat/*_T2w.nii*", "sub-*/ses-*/anat/*_T2w.nii*") for path in root.glob(pattern)
    )
    pairs = [(image, _sibling(image, "dseg")) for image in images]
    pairs = [(image, labels) for image, labels in pairs if labels is not None or LABELS not in required]
    if not pairs:
        wanted = "both a *_T2w and a *_dseg volume" if LABELS in required else "a *_T2w volume"
        raise DataError(f"{root} holds no subject with {wanted} in its anat folder.")
    table = participants(root)
    cases = []
    for image, labels in pairs:
        name = subject_name(image)
        row = table.get(name, {})
        mask, weight = _sibling(image, "desc-brain_mask"), weight_of(row.get(WEIGHT), name)
        cases.append(Case(name, image, labels, base_of(row.get(BASE), name, False), image.name, mask, weight))
    return cases


def _sibling(image: Path, suffix: str) -> Path | None:
    stem, _, extension = image.name.rpartition("_T2w")
    path = image.with_name(f"{stem}_{suffix}{extension}")
    return path if path.is_file() else None


def participants(root: Path) -> dict[str, dict[str, str]]:
    """The rows of a BIDS folder's participants.tsv by participant_id; none where there is no such file."""
    path = root / "participants.tsv"
    if not path.is_file():
        return {}
    with open_table(path) as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {row["participant_id"]: row for row in rows if row.get("participant_id")}


def is_bids(folder: Path) -> bool:
    """Whether a folder is a BIDS dataset, by its description or its volumes."""
    return (folder / "dataset_description.json").is_file() or any(bids_volumes(folder))


def bids_volumes(folder: Path) -> Iterator[Path]:
    """The T2-weighted volumes of a BIDS dataset, sorted, those of sessions last."""
    for pattern in ("sub-*/anat/*_T2w.nii*", "sub-*/ses-*/anat/*_T2w.nii*"):
        yield from (path for path in sorted(folder.glob(pattern)) if _BIDS_FILE.fullmatch(path.name))


def bids_name(entities: Mapping[str, str]) -> str:
    """The entities of a file name in the order of BIDS; unknown ones before the last.

    Args:
        entities: values by entity, at least one of them known, for instance {"sub": "01", "desc": "segsrgan"}.
    """
    known = [name for name in _ORDER if name in entities]
    others = [name for name in entities if name not in _ORDER]
    return "_".join(f"{name}-{entities[name]}" for name in (*known[:-1], *others, known[-1]))
