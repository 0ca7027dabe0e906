"""From files to training subjects: checked, in one order of axes, scaled, isotropic, cropped to the brain."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid, output_grid
from ...io.volume import read_labels, read_volume
from ...transforms.components import bounding_box
from ...transforms.normalization import Normalization
from ...transforms.resample import resample_labels, upsample
from ...utils.progress import Progress, ShouldStop, stop_if
from .splits import Case, DataError
from .subject import MaskTarget, Subject

_ORDER = "LPS"  # x from right to left, y from front to back, z upwards, as nearly as the axes allow
_MARGIN = 32  # voxels kept around the brain
_ANISOTROPY = 1.5  # a volume with thicker slices than this is no high resolution to learn from
_DARK = 0.05  # of the intensity scale: below is air
_SAME = 0.01  # spacings within 1 % are equal


def load_subjects(
    cases: list[Case],
    wanted: Mapping[str, tuple[int, ...]],
    normalization: Normalization,
    progress: Progress,
    should_stop: ShouldStop | None,
    mask: MaskTarget | None = None,
) -> list[tuple[Case, Subject]]:
    """Read all subjects.

    Args:
        cases: see `splits.read_cases`.
        wanted: labels of each class to segment, by its name.
        normalization: the intensity scale.
        mask: the brain mask to learn as well, or None.

    Raises:
        DataError: volumes that do not fit together, lack the tissue or a brain mask to learn, or are the same in Train
            and Test.
    """
    loaded, digests = [], {}
    for index, case in enumerate(cases):
        stop_if(should_stop)
        progress(index / len(cases), f"Reading {case.name}")
        subject = load_subject(case, wanted, normalization, mask)
        digest = hashlib.sha256(subject.intensity.tobytes()).hexdigest()
        other = digests.setdefault(digest, case)
        if other.base != case.base:
            raise DataError(f"{case.where}: {case.name} is the same scan as {other.name}, which is in {other.base}.")
        loaded.append((case, subject))
    return loaded


def load_subject(
    case: Case,
    wanted: Mapping[str, tuple[int, ...]],
    normalization: Normalization,
    learnt: MaskTarget | None = None,
) -> Subject:
    """Read one subject; see `load_subjects`."""
    if case.labels is None:
        raise DataError(f"{case.where}: {case.name} has no label map; add one, or leave the subject out.")
    image, labels = read_volume(case.image), read_labels(case.labels)
    _check_same_grid(image, labels, case, case.labels.name)
    _check_wanted(sitk.GetArrayViewFromImage(labels), wanted, case, case.labels.name)
    mask = read_labels(case.mask) if case.mask is not None else None
    if case.mask is not None and mask is not None:
        _check_same_grid(image, mask, case, case.mask.name)
    inside = None if mask is None else sitk.GetArrayFromImage(mask)
    image, labels = sitk.DICOMOrient(image, _ORDER), sitk.DICOMOrient(labels, _ORDER)
    mask = None if mask is None else sitk.DICOMOrient(mask, _ORDER)
    scale = normalization.scale(sitk.GetArrayFromImage(image), inside)
    image, labels, mask = _isotropic(image, labels, mask, case)
    intensity = np.maximum(sitk.GetArrayFromImage(image), 0) / np.float32(scale)
    tissues, numbers = _tissues(sitk.GetArrayFromImage(labels), wanted, case)
    inside = None if mask is None else sitk.GetArrayFromImage(mask) > 0
    if learnt is not None:
        _cut_to_mask(tissues, numbers, inside, learnt, case)
    _add_unlabelled(tissues, numbers, intensity, inside)
    box = bounding_box(tissues > 0, _MARGIN)
    return Subject(
        case.name,
        np.ascontiguousarray(intensity[box], np.float32),
        np.ascontiguousarray(tissues[box]),
        numbers,
        float(image.GetSpacing()[0]),
        case.weight,
        learnt,
    )


def _check_same_grid(image: sitk.Image, other: sitk.Image, case: Case, name: str) -> None:
    grid, second = Grid.of(image), Grid.of(other)
    if grid.size != second.size:
        raise DataError(f"{case.where}: {name} has {second.size} voxels, but {case.image.name} has {grid.size}.")
    if not grid.matches(second):
        raise DataError(f"{case.where}: {name} lies elsewhere in space than {case.image.name}; resample one of them.")


def _check_wanted(values: np.ndarray, wanted: Mapping[str, tuple[int, ...]], case: Case, name: str) -> None:
    for of in wanted.values():
        if not np.isin(values, of).any():  # sources divide tissues differently: one label of a class is enough
            present = ", ".join(str(v) for v in np.unique(values)[:20] if v != 0)
            label = ", ".join(map(str, of))
            raise DataError(f"{case.where}: {name} has no voxel of label {label}; it has {present}.")


def _isotropic(
    image: sitk.Image, labels: sitk.Image, mask: sitk.Image | None, case: Case
) -> tuple[sitk.Image, sitk.Image, sitk.Image | None]:
    spacing = image.GetSpacing()
    if max(spacing) <= min(spacing) * (1 + _SAME):
        return image, labels, mask
    if max(spacing) > min(spacing) * _ANISOTROPY:
        sides = " x ".join(f"{s:.3g}" for s in spacing)
        raise DataError(f"{case.where}: {case.image.name} has voxels of {sides} mm; train on isotropic volumes.")
    grid = output_grid(Grid.of(image), min(spacing))
    mask = None if mask is None else resample_labels(mask, grid)
    return upsample(image, grid), resample_labels(labels, grid), mask


def _tissues(
    labels: np.ndarray, wanted: Mapping[str, tuple[int, ...]], case: Case
) -> tuple[np.ndarray, dict[str, tuple[int, ...]]]:
    """Labels as numbers 0 ... 254, themselves where they fit, and the wanted ones' numbers."""
    present = np.union1d([0], labels)
    if len(present) > 255 or present[0] < 0:
        raise DataError(f"{case.where}: the label map has negative labels or more than 254 of them.")
    if present[-1] < 255:
        return labels.astype(np.uint8), dict(wanted)
    numbers = {int(label): number for number, label in enumerate(present)}
    own = {name: tuple(numbers[label] for label in of if label in numbers) for name, of in wanted.items()}
    return np.searchsorted(present, labels).astype(np.uint8), own


def _cut_to_mask(
    tissues: np.ndarray,
    wanted: Mapping[str, tuple[int, ...]],
    mask: np.ndarray | None,
    learnt: MaskTarget,
    case: Case,
) -> None:
    """Leave no label outside of the mask to learn (in place), save those of the surroundings.

    Raises:
        DataError: nothing says where the brain is, or a class lies outside of the mask.
    """
    if mask is None and not _several(tissues, wanted):
        raise DataError(
            f"{case.where}: {case.name} has neither a Mask_image nor a label map of several tissues, so that the "
            "network cannot learn a brain mask from it; add a Mask_image."
        )
    if mask is None:
        return
    tissues[~mask & ~np.isin(tissues, learnt.surroundings)] = 0
    for name, of in wanted.items():
        if not np.isin(tissues, of).any():
            raise DataError(f"{case.where}: {case.name} has no {name} inside its Mask_image; give the brain's mask.")


def _several(tissues: np.ndarray, wanted: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a label map shows more than the wanted tissue, if that is one."""
    first = next(iter(wanted.values()))
    return len(wanted) > 1 or bool(np.any((tissues > 0) & ~np.isin(tissues, first)))


def _add_unlabelled(
    tissues: np.ndarray, wanted: Mapping[str, tuple[int, ...]], intensity: np.ndarray, mask: np.ndarray | None
) -> None:
    """Make what the label map leaves open a tissue of its own (in place), so that tissues > 0 is the brain.

    Inside the mask where there is one. Without a mask a map of several tissues counts as complete, and one that shows
    the wanted tissue alone leaves open everything that is not dark.
    """
    if mask is None and not _several(tissues, wanted):
        mask = intensity > _DARK
    if mask is not None:
        tissues[mask & (tissues == 0)] = tissues.max() + 1
