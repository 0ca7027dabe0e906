"""The volumes of a comparison, and their simulated thick slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid, output_grid
from ..io.bids import read_bids
from ..io.subject_table import TEST, TRAIN, Case, read_table
from ..io.volume import read_labels, read_volume
from ..results.paths import result_name
from ..transforms.acquisition import acquire
from ..utils.errors import DataError


@dataclass(frozen=True)
class Volumes:
    """A high-resolution volume with its truth, all on one grid.

    truth: uint8, 1 = cortex, or None; `no_truth` says why. mask: brain, or None. given: whether the mask was given, and
    not made of the label map; then models get it, too.
    """

    hr: sitk.Image
    truth: sitk.Image | None
    mask: sitk.Image | None
    no_truth: str = ""
    given: bool = False


def find_cases(data: Path, folds: Collection[str] = ()) -> list[Case]:
    """The volumes to test on, sorted by name.

    Args:
        data: a CSV table or a BIDS folder, as for training. Where it has a Base, the Test ones; else all.
        folds: of the table; none for all.

    Raises:
        DataError: no volume, a fold without any, or data that cannot be read.
    """
    cases = read_table(data, skip_labels_alone=True) if data.is_file() else read_bids(data)
    if folds:
        cases = _of_folds(cases, folds, data)
    chosen = [case for case in cases if case.base != TRAIN]
    if any(case.base == TEST for case in chosen):
        chosen = [case for case in chosen if case.base == TEST]
    if not chosen:
        raise DataError(f"{data} has no volume to test on; give it rows with Base = Test, or leave Base out.")
    return sorted(_named_apart(chosen), key=lambda case: case.name)


def _of_folds(cases: list[Case], folds: Collection[str], data: Path) -> list[Case]:
    listed = sorted({case.fold for case in cases if case.fold})
    for fold in folds:
        if fold not in listed:
            raise DataError(f"{data.name} has no volume of fold {fold!r}; its folds are {', '.join(listed) or 'none'}.")
    return [case for case in cases if case.fold in folds]


def _named_apart(cases: list[Case]) -> list[Case]:
    """Several volumes of one subject are called like their files."""
    counts = Counter(case.name for case in cases)
    named = [case if counts[case.name] == 1 else replace(case, name=result_name(case.image)) for case in cases]
    name, count = Counter(case.name.lower() for case in named).most_common(1)[0]
    if count > 1:
        raise DataError(f"{count} volumes are called {name}; give them file names that differ, or list each once.")
    return named


def load_volumes(case: Case, label: int) -> Volumes:
    """Read a volume, the cortex of its label map, and its brain mask.

    Without a mask, a label map of several tissues tells where the brain is.

    Args:
        case: its files. label: of the cortex.

    Raises:
        ValueError: a file that cannot be read, or that lies elsewhere than the volume.
    """
    hr = read_volume(case.image)
    labels = None if case.labels is None else _on_grid(read_labels(case.labels), hr, case.labels, case)
    mask = None if case.mask is None else _on_grid(read_labels(case.mask), hr, case.mask, case)
    if labels is None:
        return Volumes(hr, None, mask, "it has no label map", case.mask is not None)
    present = [int(value) for value in np.unique(sitk.GetArrayViewFromImage(labels)) if value != 0]
    mask = labels != 0 if mask is None and len(present) > 1 else mask
    if label not in present:
        listed = ", ".join(map(str, present[:20])) or "none"
        why = f"its label map has no label {label}, its labels are {listed}"
        return Volumes(hr, None, mask, why, case.mask is not None)
    return Volumes(hr, labels == label, mask, given=case.mask is not None)


def _on_grid(image: sitk.Image, hr: sitk.Image, path: Path, case: Case) -> sitk.Image:
    if not Grid.of(hr).matches(Grid.of(image)):
        raise DataError(f"{case.where}: {path.name} is not on the grid of {case.image.name}; resample one of them.")
    return image


def simulate(
    volumes: Volumes, factor: float, axis: int = 2, in_plane: float | None = None
) -> tuple[sitk.Image, Volumes]:
    """Thick slices by the paper's observation model, without noise.

    Args:
        volumes: the true ones. factor: thickness of the slices in voxels. axis: of the slices, 0, 1 or 2 for x, y or z.
        in_plane: spacing inside the slices in mm, None for the volume's own.

    Returns:
        The slices, and the volumes cut to what the slices cover, where their voxels do not divide the field of view.
    """
    spacing = volumes.hr.GetSpacing()
    coarse = list(spacing if in_plane is None else (in_plane,) * 3)
    coarse[axis] = spacing[axis] * factor
    thick = acquire(volumes.hr, coarse, finer=True)
    covered = output_grid(Grid.of(thick), spacing).size

    def cut(image: sitk.Image | None) -> sitk.Image | None:
        if image is None:
            return None
        x, y, z = (min(pair) for pair in zip(covered, image.GetSize(), strict=True))
        return image[:x, :y, :z]

    return thick, replace(volumes, hr=cut(volumes.hr), truth=cut(volumes.truth), mask=cut(volumes.mask))
