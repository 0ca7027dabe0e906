"""Several stacks of one child brought together: place, intensity scale, and which slices to trust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid, output_grid
from ..transforms.data_consistency import noise_level
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .agreement import check_agreement
from .intensity import IntensityMatch
from .operator import StackOperator
from .registration import Registration, refine, register
from .rigid import transform_of
from .scan import Scan, dilated
from .slice_weights import LEFT_OUT, as_volume, slice_axis, slice_weights

_WORKING_SPACING = 1.2  # mm, of the volumes that predict slices
_NEARBY = 8.0  # mm around the brain in which a slice that moved is replaced before the registration goes on


@dataclass(frozen=True)
class AlignedStack:
    """A stack that is ready to be fused.

    scan: with the reference's intensities. matrix: 4 x 4, from LPS mm of the reference to LPS mm of the stack.
    noise: standard deviation, relative to the 99.5th percentile. weights: of each slice, 0 to 1.
    registration: None for the reference. detail: correlation of detail with the reference. slope: of the intensities.
    """

    scan: Scan
    matrix: np.ndarray
    noise: float
    weights: np.ndarray
    registration: Registration | None = None
    detail: float = 1.0
    slope: float = 1.0

    @property
    def left_out(self) -> list[int]:
        """Slices that hardly count, from 0."""
        return np.flatnonzero(self.weights < LEFT_OUT).tolist()

    def carried(self, mask: sitk.Image) -> sitk.Image:
        """A mask in the reference's space, on the grid of this stack."""
        back = transform_of(np.linalg.inv(self.matrix))
        return sitk.Resample(mask, self.scan.image, back, sitk.sitkNearestNeighbor)

    def trust(self) -> sitk.Image:
        """The weights of the slices as a volume, float32."""
        grid = Grid.of(self.scan.image)
        return grid.image(np.broadcast_to(as_volume(self.weights, grid), grid.shape).copy())

    def figures(self) -> dict[str, Any]:
        """JSON values for the record."""
        grid = Grid.of(self.scan.image)
        result: dict[str, Any] = {
            "noise": round(self.noise, 4),
            "intensity_factor": round(self.slope, 4),
            "slices": grid.size[slice_axis(grid)],
            "slices_left_out": self.left_out,
            "slice_weights": [round(float(weight), 2) for weight in self.weights],
        }
        if self.registration is not None:
            result |= {"registration": self.registration.figures(), "detail_correlation": round(self.detail, 3)}
        return result


def align(
    scans: list[Scan], progress: Progress | None = None, should_stop: ShouldStop | None = None
) -> list[AlignedStack]:
    """Register all stacks to the first one, match their intensities and weigh their slices.

    Args:
        scans: two or more, of one child in one contrast.
        progress, should_stop: called and asked between the stacks.

    Raises:
        ValueError: a stack that does not fit the first one, in one sentence.
        Cancelled: should_stop said so.
    """
    report, reference = scaled(progress, 0, 1), scans[0]
    stacks = [_aligned(reference, np.eye(4))]
    for index, scan in enumerate(scans[1:], start=1):
        stop_if(should_stop)
        report(0.8 * (index - 1) / (len(scans) - 1), f"Registering {scan.name}")
        registration = register(reference, scan, should_stop)
        detail = check_agreement(reference, scan, registration, should_stop)
        report(0.8 * (index - 0.4) / (len(scans) - 1), f"Refining the registration of {scan.name}")
        registration = refine(reference, scan, registration, should_stop)
        match = IntensityMatch.between(reference, scan, registration.matrix)
        matched = replace(scan, image=match.applied(scan.image, registration.matrix))
        stack = _aligned(matched, registration.matrix)
        stacks.append(replace(stack, registration=registration, detail=detail, slope=match.slope))
    for last in (False, True):
        stop_if(should_stop)
        report(0.85, "Looking for slices that moved")
        stacks = _weighed(stacks)
        if not last and any(stack.left_out for stack in stacks):
            report(0.9, "Registering again without the slices that moved")
            stacks = _weighed(_registered_again(stacks, should_stop))
    return stacks


def _aligned(scan: Scan, matrix: np.ndarray) -> AlignedStack:
    grid = Grid.of(scan.image)
    return AlignedStack(scan, matrix, noise_level(scan.image), np.ones(grid.size[slice_axis(grid)]))


def _weighed(stacks: list[AlignedStack]) -> list[AlignedStack]:
    """The stacks with new weights of their slices, judged by those of the others that had weight before."""
    weights = [_weights(stacks, index) for index in range(len(stacks))]
    return [replace(stack, weights=w) for stack, w in zip(stacks, weights, strict=True)]


def _registered_again(stacks: list[AlignedStack], should_stop: ShouldStop | None) -> list[AlignedStack]:
    """The stacks in the places that they have when slices that moved do not pull at them."""
    repaired = [_repaired(stacks, index) for index in range(len(stacks))]
    result = stacks[:1]
    for stack, scan in zip(stacks[1:], repaired[1:], strict=True):
        if stack.registration is not None and (stacks[0].left_out or stack.left_out):
            registration = refine(repaired[0], scan, stack.registration, should_stop)
            stack = replace(stack, registration=registration, matrix=registration.matrix)
        result.append(stack)
    return result


def _repaired(stacks: list[AlignedStack], index: int) -> Scan:
    """A stack whose doubtful slices are, around the brain, what the other stacks predict for them."""
    stack = stacks[index]
    if not stack.left_out:
        return stack.scan
    nearby = sitk.GetArrayFromImage(stack.carried(dilated(stacks[0].scan.mask, _NEARBY))) > 0
    predicted, known = _predicted(stacks, index, nearby)
    measured, grid = sitk.GetArrayFromImage(stack.scan.image), Grid.of(stack.scan.image)
    weights = np.where(known & nearby, as_volume(stack.weights, grid), np.float32(1))
    return replace(stack.scan, image=grid.image(weights * measured + (1 - weights) * predicted))


def _weights(stacks: list[AlignedStack], index: int) -> np.ndarray:
    """The weights of one stack's slices, compared with what all the others predict for them."""
    stack = stacks[index]
    brain = sitk.GetArrayFromImage(stack.carried(stacks[0].scan.mask)) > 0
    predicted, known = _predicted(stacks, index, brain)
    measured = sitk.GetArrayFromImage(stack.scan.image)
    thick = max(other.scan.thickness for other in stacks)
    return slice_weights(measured - predicted, known & brain, Grid.of(stack.scan.image), thick)


def _predicted(stacks: list[AlignedStack], index: int, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the other stacks predict for one, (z, y, x), and where they know it.

    Args:
        wanted: (z, y, x) bool, the voxels of the stack that count; the others are left open.
    """
    working = output_grid(Grid.of(stacks[0].scan.image), _WORKING_SPACING)
    total, trust = np.zeros(working.shape, np.float32), np.full(working.shape, 1e-6, np.float32)
    for other in stacks[:index] + stacks[index + 1 :]:
        weight = resampled(other.trust(), working, other.matrix, sitk.sitkLinear)
        total += weight * resampled(other.scan.image, working, other.matrix, sitk.sitkLinear)
        trust += weight
    operator = StackOperator(Grid.of(stacks[index].scan.image), working, stacks[index].matrix, wanted)
    predicted = operator.apply(torch.from_numpy(total / trust)).numpy()
    return predicted, operator.apply(torch.from_numpy((trust > 0.3).astype(np.float32))).numpy() > 0.9


def resampled(image: sitk.Image, grid: Grid, matrix: np.ndarray, interpolator: int) -> np.ndarray:
    """A stack's volume on a grid in the reference's space, (z, y, x) float32; 0 outside its field of view."""
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size)
    resampler.SetOutputSpacing(grid.spacing)
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputDirection(grid.direction)
    resampler.SetTransform(transform_of(matrix))
    resampler.SetInterpolator(interpolator)
    return sitk.GetArrayFromImage(resampler.Execute(image))
