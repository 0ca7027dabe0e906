"""What a run will do and what speaks against it, before it starts. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from ..data.grid import Grid
from ..models.card import Range
from ..transforms.line_operators import THICK
from .domain import Brain, Item, brain_items, brain_region, geometry_items, sentences

if TYPE_CHECKING:  # loads torch
    from ..models.card import ModelCard

_OTHER_CONTRAST = re.compile(r"(?<![A-Za-z0-9])(T1w?|FLAIR|DWI|ADC|PD|CT|SWI|BOLD)(?![A-Za-z0-9])", re.IGNORECASE)


def describe(grid: Grid, output: Grid) -> str:
    """One line: "0.45 x 0.45 x 3 mm, 34 slices -> 0.5 x 0.5 x 0.5 mm, 256 x 256 x 204 voxels"."""
    slices = grid.size[_coarsest(grid)]
    return f"{_times(grid.spacing)} mm, {slices} slices -> {_times(output.spacing)} mm, {_times(output.size)} voxels"


def warnings_for(grid: Grid, output: Grid, training_spacing: Range, training_slices: Range) -> list[str]:
    """Sentences about a geometry that the model was not trained for.

    Args:
        grid: the input's. output: the result's.
        training_spacing: mm, of the volumes that the model was trained to make.
        training_slices: mm, slice thickness of the low resolution that it was trained on.
    """
    items = geometry_items(grid, output, training_spacing, training_slices)
    return _geometry_warnings(grid, output) + sentences(items)


def contrast_warnings(name: str, low: float, high: float) -> list[str]:
    """What speaks against a T2-weighted scan before anything of it is looked at.

    Args:
        name: of the volume or its file, "" when it is not known. low, high: its values.
    """
    found = _OTHER_CONTRAST.search(name.replace("_", " "))
    if high <= low:
        return ["All voxels have the same value."]
    if low < -0.05 * high:
        return ["The volume has negative values; a T2-weighted MRI has none."]
    if found:
        return [f"The name says {found.group()}; the models know T2-weighted MRI only."]
    return []


def compare(scan: sitk.Image, mask: sitk.Image | None, output: Grid, card: ModelCard) -> dict[str, Item]:
    """Compare a scan with what a model was trained on.

    The brain is looked at inside the mask, or in a volume without a skull; elsewhere it cannot be told from what is
    around it, and only the resolution is compared. So it is for a model whose card does not say more.

    Args:
        scan: 3D. mask: on its grid, not 0 is brain. output: the result's grid. card: of the model.
    """
    grid, values = Grid.of(scan), sitk.GetArrayViewFromImage(scan)
    items = geometry_items(grid, output, card.training_spacing, card.training_slices, card.domain)
    given = None if mask is None else sitk.GetArrayViewFromImage(mask)
    if card.domain is not None and (inside := brain_region(values, given)) is not None:
        items |= brain_items(Brain.of(values, inside, grid.spacing), card.domain)
    return items


def judge(scan: sitk.Image, mask: sitk.Image | None, output: Grid, card: ModelCard) -> tuple[dict[str, Any], list[str]]:
    """Everything about a scan that can be said before a run; see `compare`.

    Returns:
        JSON values by item ("value", its range in the "training", and how far "outside" it lies), and sentences.
    """
    items, values = compare(scan, mask, output, card), sitk.GetArrayViewFromImage(scan)
    found = _geometry_warnings(Grid.of(scan), output) + sentences(items)
    found += contrast_warnings("", float(values.min()), float(values.max()))
    return {name: item.figures() for name, item in items.items()}, found


def _geometry_warnings(grid: Grid, output: Grid) -> list[str]:
    """Warnings that hold for every model."""
    found = []
    thickness = max(grid.spacing)
    if thickness <= THICK * max(output.spacing):
        found.append(
            f"The volume is already about as fine as the output ({thickness:.3g} mm): there is little to gain, and "
            "interpolation may be nearer to the truth."
        )
    if min(grid.extent) < 30:
        found.append(f"The field of view of {_times(grid.extent)} mm does not hold a whole brain.")
    return found


def _coarsest(grid: Grid) -> int:
    return max(range(3), key=lambda axis: grid.spacing[axis])


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in values)
