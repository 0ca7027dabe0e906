"""The volumes that synthetic heads are made of, in one small file (.npz) that needs no medical reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

SPACING = 1.5  # mm, of labels, masks and images
DISTANCE_SPACING = 4.0  # mm, of the distance to the brain
DISTANCE_UNIT = 0.5  # mm, of one step of the stored distance
SHAPE = (88, 104, 80)  # (z, y, x) voxels of SPACING
DISTANCE_SHAPE = (56, 60, 52)  # (z, y, x) voxels of DISTANCE_SPACING

_SURROUNDINGS, _BRAINSTEM = 9, 7
_CLOSING = 3.0  # mm: fissures and gaps narrower than twice this belong to the inside of the skull


@dataclass(frozen=True)
class Source:
    """One subject: its label map, its image where there is one, and the kind of scan it stands for."""

    name: str
    labels: Path
    image: Path | None
    newborn: bool


def write_pack(path: Path, sources: Iterable[Source]) -> None:
    """Write all subjects into one compressed .npz; arrays are (n, z, y, x) in LPS order, centred on the brain.

    labels: uint8. mask: uint8, 0..255, the soft brain mask. image: uint8, 250 is the 99.5th percentile inside the
    brain; 0 where there is none. distance: int8, steps of 0.5 mm to the mask's surface, negative inside.
    extent: float32 (n, 3), half of the brain's box in mm (x, y, z). stem: float32 (n, 3), the brainstem's lower end in
    mm from the brain's centre. has_image, newborn: bool. name: strings.
    """
    rows = [_row(source) for source in sources]
    arrays: dict[str, Any] = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    np.savez_compressed(path, **arrays)


def inner_skull_mask(labels: sitk.Image) -> sitk.Image:
    """The brain with all fluid around it: every label but the surroundings, closed by 3 mm, without holes.

    Sources end their fluid labels at different places; closing bridges the gaps that some of them leave open. What a
    source calls surroundings (dura, falx, skull) stays out.
    """
    brain = sitk.Cast((labels != 0) & (labels != _SURROUNDINGS), sitk.sitkUInt8)
    radius = [round(_CLOSING / s) for s in brain.GetSpacing()]
    padded = sitk.ConstantPad(brain, radius, radius)
    closed = sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(padded, radius))
    return sitk.Crop(closed, radius, radius) * sitk.Cast(labels != _SURROUNDINGS, sitk.sitkUInt8)


def _row(source: Source) -> dict[str, np.ndarray]:
    labels = sitk.Cast(sitk.DICOMOrient(sitk.ReadImage(str(source.labels)), "LPS"), sitk.sitkUInt8)
    mask = inner_skull_mask(labels)
    grid = _grid(mask, SPACING, SHAPE)
    row = {"labels": _onto(labels, grid, sitk.sitkNearestNeighbor)}
    row["mask"] = _onto(sitk.Cast(mask, sitk.sitkFloat32) * 255, grid, sitk.sitkLinear).round().astype(np.uint8)
    distance = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
    coarse = _onto(distance, _grid(mask, DISTANCE_SPACING, DISTANCE_SHAPE), sitk.sitkLinear, outside=np.nan)
    row["distance"] = np.clip(_extended(coarse) / DISTANCE_UNIT, -127, 127).round().astype(np.int8)
    row["image"] = _image(source, mask, grid)
    row["extent"], row["stem"] = _landmarks(row["mask"] > 127, row["labels"] == _BRAINSTEM)
    row |= {"has_image": np.array(source.image is not None), "newborn": np.array(source.newborn)}
    return row | {"name": np.array(source.name)}


def _grid(mask: sitk.Image, spacing: float, shape: tuple[int, ...]) -> sitk.Image:
    """An empty image of this spacing and shape (z, y, x), centred on the mask's box."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(mask)
    box = np.array(shapes.GetBoundingBox(1), float)
    centre = mask.TransformContinuousIndexToPhysicalPoint((box[:3] + box[3:] / 2 - 0.5).tolist())
    size = shape[::-1]
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing((spacing,) * 3)
    grid.SetOrigin([c - spacing * (n - 1) / 2 for c, n in zip(centre, size, strict=True)])
    return grid


def _onto(image: sitk.Image, grid: sitk.Image, interpolator: int, outside: float = 0.0) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), interpolator, outside))


def _extended(distance: np.ndarray) -> np.ndarray:
    """Distances on a larger box: outside the source's field, the distance to the brain's surface is computed anew."""
    inside = sitk.GetImageFromArray((np.nan_to_num(distance, nan=1.0) < 0).astype(np.uint8))
    inside.SetSpacing((DISTANCE_SPACING,) * 3)
    anew = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(inside, squaredDistance=False, useImageSpacing=True))
    return np.where(np.isnan(distance), anew, distance)


def _image(source: Source, mask: sitk.Image, grid: sitk.Image) -> np.ndarray:
    if source.image is None:
        return np.zeros(SHAPE, np.uint8)
    image = sitk.Cast(sitk.DICOMOrient(sitk.ReadImage(str(source.image)), "LPS"), sitk.sitkFloat32)
    inside = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(mask) > 0]
    scale = 250 / float(np.percentile(inside, 99.5))
    return np.clip(_onto(image, grid, sitk.sitkLinear) * scale, 0, 255).round().astype(np.uint8)


def _landmarks(mask: np.ndarray, stem: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half of the mask's box, and the centre of the brainstem's lowest 6 mm, both (x, y, z) in mm."""
    found = np.argwhere(mask)
    extent = (np.ptp(found, axis=0) + 1) * SPACING / 2
    lowest = np.argwhere(stem)
    lowest = lowest[lowest[:, 0] <= lowest[:, 0].min() + 6 / SPACING]
    position = (lowest.mean(axis=0) - (np.array(mask.shape) - 1) / 2) * SPACING
    return extent[::-1].astype(np.float32), position[::-1].astype(np.float32)


def development_sources(root: Path, held_out: bool = False) -> list[Source]:
    """The subjects of the development data that the extractor is trained on, or those that are held out of it.

    Held out: three newborns and the odd weeks of fidon2021. xu2022 is neither.
    """
    sources = []
    for folder in ("gousias2012", "gholipour2017", "fidon2021", "urru2023"):
        for labels in sorted((root / folder).glob("sub-*/anat/*_dseg.nii.gz")):
            name = labels.name.removesuffix("_dseg.nii.gz")
            if _is_held_out(name) == held_out:
                image = labels.with_name(f"{name}_T2w.nii.gz")
                sources.append(Source(name, labels, image if image.exists() else None, folder == "gousias2012"))
    if not sources:
        raise ValueError(f"No label maps (sub-*/anat/*_dseg.nii.gz) were found in {root}; give the data's folder.")
    return sources


def _is_held_out(name: str) -> bool:
    if name.startswith("sub-SBA"):
        return int(name[7:9]) % 2 == 1
    return name in ("sub-ALBERT01", "sub-ALBERT08", "sub-ALBERT16")
