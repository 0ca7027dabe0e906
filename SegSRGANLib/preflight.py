"""What a run will do and what speaks against it, in words, before it starts. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from .geometry import Grid


def describe(grid: Grid, output: Grid) -> str:
    """One line: "0.45 x 0.45 x 3 mm, 34 slices -> 0.5 x 0.5 x 0.5 mm, 256 x 256 x 204 voxels"."""
    slices = grid.size[_coarsest(grid)]
    return f"{_times(grid.spacing)} mm, {slices} slices -> {_times(output.spacing)} mm, {_times(output.size)} voxels"


def warnings_for(
    grid: Grid, output: Grid, training_spacing: tuple[float, float], training_slices: tuple[float, float]
) -> list[str]:
    """Sentences about a geometry that the model was not trained for.

    Args:
        grid: the input's. output: the result's.
        training_spacing: mm, of the volumes that the model was trained to make.
        training_slices: mm, slice thickness of the low resolution that it was trained on.
    """
    found = []
    thickness = max(grid.spacing)
    if thickness <= 1.2 * max(output.spacing):
        found.append(
            f"The volume is already about as fine as the output ({thickness:.3g} mm); there is little to gain."
        )
    elif not training_slices[0] <= thickness <= training_slices[1]:
        found.append(
            f"The slices are {thickness:.3g} mm thick, outside the {training_slices[0]:.3g} to "
            f"{training_slices[1]:.3g} mm that the model was trained on."
        )
    if not training_spacing[0] <= min(output.spacing) or not max(output.spacing) <= training_spacing[1]:
        found.append(
            f"The output spacing of {_times(output.spacing)} mm is outside the {training_spacing[0]:.3g} to "
            f"{training_spacing[1]:.3g} mm that the model was trained for."
        )
    if min(grid.extent) < 30:
        found.append(f"The field of view of {_times(grid.extent)} mm does not hold a whole brain.")
    return found


def _coarsest(grid: Grid) -> int:
    return max(range(3), key=lambda axis: grid.spacing[axis])


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
