"""What a segmentation amounts to: volume, surface area, Euler number, connected components."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from ..transforms.components import bounding_box, component_sizes


def describe_segmentation(labels: sitk.Image, probability: sitk.Image | None = None) -> dict[str, Any]:
    """Measure a binary segmentation; voxels that share a corner are connected.

    Args:
        labels: not 0 is inside.
        probability: on the same grid, in [0, 1].

    Returns:
        "volume_ml"; "expected_volume_ml", the sum of the probability; "expected_dice", what the probability expects of
        the Dice of the segmentation, 2 sum(p in it) / (sum(p) + size); "surface_cm2", by the Crofton formula (Lehmann
        and Legland, 2012); "euler_number", pieces - tunnels + cavities; "components"; "largest_component", its
        share of the volume (None when nothing is inside).
    """
    whole = sitk.Cast(labels != 0, sitk.sitkUInt8)
    inside = _cropped(whole)
    millilitres = float(np.prod(labels.GetSpacing())) / 1000
    pieces = component_sizes(inside)
    total = sum(pieces)
    return {
        "volume_ml": round(total * millilitres, 4),
        "expected_volume_ml": None if probability is None else round(_sum(probability) * millilitres, 4),
        "expected_dice": None if probability is None or not total else _expected_dice(whole, probability),
        "surface_cm2": round(surface_area(inside) / 100, 3),
        "euler_number": euler_number(sitk.GetArrayViewFromImage(inside)),
        "components": len(pieces),
        "largest_component": round(max(pieces) / total, 4) if total else None,
    }


def surface_area(inside: sitk.Image) -> float:
    """Area in mm2 of the boundary of a uint8 segmentation (1 is inside), by the Crofton formula."""
    # a border of background, or what touches the edge of the volume would have no surface there
    padded = sitk.ConstantPad(inside, [1] * 3, [1] * 3, 0)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputePerimeterOn()
    statistics.Execute(padded)
    return float(statistics.GetPerimeter(1)) if statistics.HasLabel(1) else 0.0


def euler_number(inside: np.ndarray) -> int:
    """Euler characteristic of the union of closed voxels: vertices - edges + faces - voxels.

    Args:
        inside: (z, y, x), not 0 is inside.

    Returns:
        Pieces - tunnels + cavities, where voxels that share a corner are connected.
    """
    voxels = inside != 0
    total = 0
    for axes in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        cells = voxels
        for axis in axes:  # a cell between two voxels exists when one of them does
            cells = _either_neighbour(cells, axis)
        total += (-1) ** (3 - len(axes)) * int(np.count_nonzero(cells))
    return total


def _cropped(inside: sitk.Image) -> sitk.Image:
    """What is inside, without the empty voxels around."""
    voxels = sitk.GetArrayViewFromImage(inside)
    return inside[tuple(reversed(bounding_box(voxels)))] if voxels.any() else inside


def _either_neighbour(cells: np.ndarray, axis: int) -> np.ndarray:
    padded = np.pad(cells, [(1, 1) if k == axis else (0, 0) for k in range(3)])
    first, last = ([slice(None)] * 3 for _ in range(2))
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return padded[tuple(first)] | padded[tuple(last)]


def _expected_dice(inside: sitk.Image, probability: sitk.Image) -> float:
    values, segmented = sitk.GetArrayViewFromImage(probability), sitk.GetArrayViewFromImage(inside) > 0
    overlap = float(values[segmented].sum(dtype=np.float64))
    return round(2 * overlap / (_sum(probability) + int(np.count_nonzero(segmented))), 4)


def _sum(image: sitk.Image) -> float:
    return float(sitk.GetArrayViewFromImage(image).sum(dtype=np.float64))
