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
    pairs = [(image, _sibling(image, "dseg")) for image in sorted(bids_volumes(root))]
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


def shared_entities(names: Collection[str]) -> str:
    """What the names of several volumes have in common, for instance "sub-01_ses-2" of its runs and acquisitions.

    Args:
        names: without suffix and extension; entities joined by "_".
    """
    first, *others = [name.split("_") for name in names]
    return "_".join(entity for entity in first if all(entity in other for other in others))


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


_ANY_SPACE = ("orig", "native", "T2w", "scanner")  # of a mask that lies where its scan lies
_OWN_OF_MASKS = ("space", "res", "label", "desc")
_SAID_BRAIN = {"desc": "brain", "label": "brain"}


def find_brain_mask(
    image: Path, root: Path, derivative: Path | None = None, without: Path | None = None
) -> Path | None:
    """The brain mask that a BIDS dataset or its derivatives have of a volume; None where there is none.

    It is a `*_mask` with `desc-brain` or `label-brain`, in the volume's own space, whose other entities are those of
    the volume. Looked for in the given derivative alone, or else beside the volume and in the folders of `derivatives`.

    Args:
        image: a volume below `root`. root: of the dataset. derivative: root of a derivative dataset.
        without: a derivative that is not looked at.
    """
    others = [path for path in sorted(root.glob("derivatives/*")) if without is None or not _same(path, without)]
    beside = [root, *others]
    wanted = entities_of(image.name)
    for folder in beside if derivative is None else [derivative]:
        anat = folder / image.parent.relative_to(root)
        masks = [path for path in sorted(anat.glob(f"sub-{wanted['sub']}*_mask.nii*")) if _marks(path, wanted)]
        if masks:  # the plainest name is of the scan's own grid
            return min(masks, key=lambda path: len(path.name))
    return None


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _marks(mask: Path, wanted: Mapping[str, str]) -> bool:
    """Whether a mask's name says that it marks the brain of the volume with these entities."""
    entities = entities_of(mask.name)
    brain = any(entities.get(entity) == value for entity, value in _SAID_BRAIN.items())
    here = entities.get("space") in (None, wanted.get("space"), *_ANY_SPACE)
    own = {name: value for name, value in wanted.items() if name not in _OWN_OF_MASKS}
    return brain and here and {n: v for n, v in entities.items() if n not in _OWN_OF_MASKS} == own


def entities_of(name: str) -> dict[str, str]:
    """The entities of a BIDS file name, in their order: "sub-01_run-2_T2w.nii.gz" -> {"sub": "01", "run": "2"}."""
    return dict(part.split("-", 1) for part in name.split("_") if "-" in part)


def bids_name(entities: Mapping[str, str]) -> str:
    """The entities of a file name in the order of BIDS; unknown ones before the last.

    Args:
        entities: values by entity, at least one of them known, for instance {"sub": "01", "desc": "segsrgan"}.
    """
    known = [name for name in _ORDER if name in entities]
    others = [name for name in entities if name not in _ORDER]
    return "_".join(f"{name}-{entities[name]}" for name in (*known[:-1], *others, known[-1]))
