"""What a run over several stacks will cost, before it starts: seconds of each step, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from ...data.grid import Grid, output_grid
from ...models.checkpoint import Model
from ...utils.memory import available_memory
from ..brain.choice import BrainMask
from ..estimate import Estimate, estimate, region_of
from ..network_parts import intensity_model, segmentation_model
from ..options import EnhanceOptions

# Seconds of one CPU core: for each further stack, for a million voxels of all stacks (slice weights), for a million
# voxels around the brain and each stack (fusion), for a million voxels of the result and each stack (quality)
_REGISTRATION, _WEIGHTS, _FUSION, _QUALITY = 20.0, 0.3, 3.0, 0.2
_BOX_ARRAYS = 10  # float32 around the brain during the fusion: start, change, direction, residual, coefficients ...
_POINT = 16  # bytes for each of a stack's sampling points in the brain: index, value
_OUT_OF_BOX = 0.6  # share of the brain's box that is brain
_FLOAT = 4


def estimate_stacks(
    grids: Sequence[Grid], model: Model, masks: Sequence[BrainMask], options: EnhanceOptions
) -> Estimate:
    """Estimate a run on this machine, see `estimate.estimate`.

    Args:
        grids: of the stacks; one alone is an ordinary scan. model, options: see `enhance`.
        masks: one for each stack, or one for all.

    Returns:
        The steps of `pipeline.enhance_stacks` for two or more stacks. patches: of the segmentation.

    Raises:
        ValueError: an output grid that makes no sense or does not fit.
    """
    if len(grids) == 1:
        return estimate(grids[0], model, masks[0], options)
    output = options.output(grids[0], model.card)
    spacing = min(output.spacing)
    own = [replace(options, spacing=output.spacing if index == 0 else spacing) for index in range(len(grids))]
    words = [masks[min(index, len(masks) - 1)] for index in range(len(grids))]
    sharp = intensity_model(model)
    singles = [estimate(*values) for values in zip(grids, [sharp] * len(grids), words, own, strict=True)]
    whole = estimate(grids[0], segmentation_model(model), words[0], own[0])
    box = prod(region_of(grids[0], output, words[0]))
    seconds = {
        "registration": _REGISTRATION * (len(grids) - 1) + _WEIGHTS * sum(prod(grid.size) for grid in grids) / 1e6,
        "prediction": sum(sum(single.seconds.values()) for single in singles),
        "fusion": _FUSION * len(grids) * box / 1e6,
        "segmentation": sum(whole.seconds.values()),
        "quality": _QUALITY * len(grids) * prod(output.size) / 1e6,
    }
    memory = _peak(grids, [single.memory for single in singles], whole.memory, output, box)
    return Estimate(whole.patches, seconds, whole.writing, whole.page, memory)


def _peak(grids: Sequence[Grid], singles: list[int], whole: int, output: Grid, box: int) -> int:
    """Bytes at the most expensive step: a stack's prediction beside earlier results, the fusion, the segmentation."""
    read = sum(2 * _FLOAT * prod(grid.size) for grid in grids)  # as read, and matched in intensity
    results = [_FLOAT * prod(output_grid(grid, min(output.spacing)).size) for grid in grids]
    during = [single + sum(results[:index]) for index, single in enumerate(singles)]
    points = _OUT_OF_BOX * box * _POINT * len(grids)
    fusion = sum(results) + 2 * results[0] + _BOX_ARRAYS * _FLOAT * box + int(points)
    return read + max(*during, fusion, whole + results[0])


def check_stacks_fit(grids: Sequence[Grid], output: Grid) -> None:
    """Refuse stacks whose results alone are larger than the memory.

    Raises:
        ValueError: they are.
    """
    needed = sum(_FLOAT * prod(output_grid(grid, min(output.spacing)).size) for grid in grids)
    free = available_memory("cpu")
    if needed > free:
        raise ValueError(
            f"{len(grids)} stacks at {min(output.spacing):.3g} mm need {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free; choose a coarser output spacing, crop the stacks, or leave one out."
        )
