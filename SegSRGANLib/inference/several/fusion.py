"""From the network's results for single stacks to one volume that agrees with all stacks."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ...data.grid import Grid
from ...stacks.alignment import AlignedStack, resampled
from ...stacks.fusion import Term, fuse
from ...stacks.operator import StackOperator
from ...stacks.scan import dilated
from ...transforms.components import Box, bounding_box
from ...transforms.resample import resample_labels
from ...utils.progress import scaled, stop_if
from ...utils.triples import triple
from ..enhancement import Enhancement
from ..run_context import RunContext

_RIM = 3.0  # mm around the brain that are fused, too: what a slice smears over its border belongs back inside
_SURROUNDINGS = 6.0  # mm around that, which blurred slices see
_LEAST_TRUST = 1e-3  # of the first stack, which holds the whole grid


def fused_volume(
    stacks: list[AlignedStack],
    singles: list[Enhancement],
    output: Grid,
    consistency: bool,
    how: tuple[torch.device, RunContext],
) -> sitk.Image:
    """One volume in agreement with all stacks; outside the brain, what the first stack alone gives.

    Args:
        stacks: registered. singles: what the network made of each, on its own axes.
        output: grid of the result, with the axes of the first stack.
        consistency: whether to bring it to agreement; else it is the weighted mean of the single results.
        how: device, and progress and cancellation.

    Returns:
        float32, in the units of the first stack.

    Raises:
        Cancelled: the run was stopped.
    """
    device, run = how
    if device.type == "mps":  # has no float64, which places need
        device = torch.device("cpu")
    region = dilated(stacks[0].scan.mask, _RIM)
    inside = sitk.GetArrayFromImage(resample_labels(region, output)) > 0
    box = bounding_box(inside, [int(np.ceil(_SURROUNDINGS / s)) for s in reversed(output.spacing)])
    grid = part_of(output, box)
    run.report(0.0, "Combining the stacks")
    fused = torch.from_numpy(weighted_mean(stacks, singles, grid)).to(device)
    if consistency:
        terms = []
        for index, stack in enumerate(stacks):
            stop_if(run.should_stop)
            run.report(0.1 * (index + 1) / (len(stacks) + 1), f"Measuring the noise of {stack.scan.name}")
            terms.append(_term(stack, grid, region, fused))
        where = torch.from_numpy(inside[box]).to(device)
        fused = fuse(fused, terms, where, scaled(run.report, 0.1, 1.0), run.should_stop)
    result = sitk.GetArrayFromImage(singles[0].sr)
    result[box] = np.where(inside[box], fused.cpu().numpy(), result[box])
    return output.image(result)


def weighted_mean(stacks: list[AlignedStack], singles: list[Enhancement], grid: Grid) -> np.ndarray:
    """The mean of the single results on a grid, (z, y, x): thinner slices count more, those that moved do not."""
    total, trust = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for index, (stack, single) in enumerate(zip(stacks, singles, strict=True)):
        weight = resampled(stack.trust(), grid, stack.matrix, sitk.sitkLinear) / np.float32(stack.scan.thickness)
        weight += np.float32(_LEAST_TRUST if index == 0 else 0)
        total += weight * resampled(single.sr, grid, stack.matrix, sitk.sitkBSpline)
        trust += weight
    return total / trust


def part_of(grid: Grid, box: Box) -> Grid:
    """The grid of a box (z, y, x) of another grid."""
    first = np.array([part.start for part in reversed(box)])
    axes = np.array(grid.direction).reshape(3, 3)
    origin = np.array(grid.origin) + axes @ (first * np.array(grid.spacing))
    size = tuple(part.stop - part.start for part in reversed(box))
    return Grid(triple(size), grid.spacing, triple(map(float, origin)), grid.direction)


def _term(stack: AlignedStack, grid: Grid, region: sitk.Image, start: torch.Tensor) -> Term:
    """A stack in the joint problem, cut to the brain."""
    inside = sitk.GetArrayFromImage(stack.carried(region))
    weights = inside.astype(np.float32) * sitk.GetArrayFromImage(stack.trust())
    box = bounding_box(inside > 0, 1)
    operator = StackOperator(part_of(Grid.of(stack.scan.image), box), grid, stack.matrix, weights[box] > 0)
    cut = (np.ascontiguousarray(a[box]) for a in (sitk.GetArrayFromImage(stack.scan.image), weights))
    measured, trust = (torch.from_numpy(a).to(start.device) for a in cut)
    return Term.of(operator, measured, trust, start)
