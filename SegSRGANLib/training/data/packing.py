"""From a table of volumes to one file for a machine that has a GPU and little else."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid
from ...io.volume import read_labels, read_volume
from ...transforms.components import bounding_box
from ...transforms.normalization import Normalization
from ...utils.errors import DataError
from ...utils.progress import Progress, ShouldStop, scaled, stop_if
from .volume_pack import PackedVolume, write_pack

_COLUMNS = ("HR_image", "Label_image", "Fold", "Weight", "Averaged")
_DARK = 0.05  # of the intensity scale: below is air
_ANISOTROPY = 1.01  # spacings within 1 % are equal


def pack_table(
    table: Path,
    output: Path,
    held_out_fold: str = "",
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> int:
    """Read, check, crop and scale all volumes of a table, and write them into one file.

    Args:
        table: CSV with the columns HR_image (empty for a label map alone), Label_image, Fold, Weight and Averaged
            (1 for a mean of many brains); paths relative to its folder, environment variables allowed.
        output: the file to write.
        held_out_fold: volumes of this fold are packed to judge by, not to learn from.
        progress: called after each volume. should_stop: asked before each.

    Returns:
        Bytes of the file.

    Raises:
        DataError: a table or volume that cannot be used. Cancelled: should_stop said so.
    """
    rows, report = _rows(table), scaled(progress, 0, 1)

    def volumes() -> Iterator[PackedVolume]:
        for index, row in enumerate(rows):
            stop_if(should_stop)
            report(index / len(rows), f"Packing {Path(row['Label_image']).name}")
            yield _packed(row, table.parent, held_out_fold)

    write_pack(output, volumes())
    return output.stat().st_size


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        raise DataError(f"There is no table {table}.")
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DataError(f"{table.name} lacks the column {missing[0]}; it needs {', '.join(_COLUMNS)}.")
        rows = list(reader)
    if not rows:
        raise DataError(f"{table.name} has no volumes.")
    return rows


def _packed(row: dict[str, str], folder: Path, held_out_fold: str) -> PackedVolume:
    label_path = _path(row["Label_image"], folder)
    labels = sitk.DICOMOrient(read_labels(label_path), "LPS")
    spacing = labels.GetSpacing()
    if max(spacing) > min(spacing) * _ANISOTROPY:
        raise DataError(f"{label_path.name} has voxels of {spacing} mm; only isotropic volumes can be packed.")
    tissues, intensity = sitk.GetArrayFromImage(labels), None
    content = tissues > 0
    if row["HR_image"]:
        intensity = _intensity(_path(row["HR_image"], folder), labels)
        content = content | (intensity > _DARK)
    if tissues.min() < 0 or tissues.max() > 255:
        raise DataError(f"{label_path.name} has labels outside of 0 to 255.")
    box = bounding_box(content, 2)
    return PackedVolume(
        label_path.name.split("_")[0],
        None if intensity is None else np.ascontiguousarray(intensity[box]),
        np.ascontiguousarray(tissues[box], np.uint8),
        float(spacing[0]),
        _number(row["Weight"], label_path.name),
        row["Averaged"].strip() == "1",
        bool(held_out_fold) and row["Fold"].strip() == held_out_fold,
    )


def _intensity(path: Path, labels: sitk.Image) -> np.ndarray:
    image = sitk.DICOMOrient(read_volume(path), "LPS")
    if not Grid.of(image).matches(Grid.of(labels)):
        raise DataError(f"{path.name} and its label map lie on different grids; resample one of them.")
    values = np.maximum(sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32)), 0)
    return values / np.float32(Normalization().scale(values))


def _path(text: str, folder: Path) -> Path:
    return folder / os.path.expandvars(text.strip())


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise DataError(f"The weight of {name} must be a positive number, not {text!r}.")
    return value
