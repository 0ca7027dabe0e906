"""Rigid registration of one stack to another, in physical space and inside the brain, coarse to fine.

Thick slices are sharp along two axes and blurred along the third, and each stack along another one. So both are
brought to one round point spread first, as wide as the thicker slices; then one child looks alike in both, however its
head lies in them. The widest blur comes first, from several starts around the scanner's coordinates, and is judged by
mutual information, which does not ask how the two contrasts are related; the last ones by correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..utils.progress import ShouldStop, stop_if
from .rigid import contained, euler_of, matrix_of, moved_points, points_inside, rotation_degrees
from .scan import Scan, dilated

_START_ANGLES = (-12.0, 0.0, 12.0)  # degrees about each axis: optimization finds back from 15 degrees and more
_STARTS_TRIED = 3
_SURROUNDINGS = 3.0  # mm around the brain that count, too: its outline says much about its place
_NEARBY = 15.0  # mm around the brain that the widest blur sees
_COARSE = (8.0, 4.0)  # mm: point spread and voxels of the first level
_BINS = 32
_MOST_STEPS = 60
# Of a line search along conjugate directions, at each level: steps of fixed lengths end up to 0.3 mm from the optimum
_EXACT_STEPS = (12, 4)
_LINE_SEARCH = (0.0, 2.0, 0.02, 12)  # shortest and longest step, accuracy, evaluations


@dataclass(frozen=True)
class Registration:
    """How a stack lies in relation to the reference.

    matrix: 4 x 4, from LPS mm of the reference to LPS mm of the stack.
    mm: mean distance that the brain moved. degrees: angle of the rotation.
    overlap: share of the smaller brain region that both stacks hold.
    similarity: correlation of both, with one point spread, inside the brain.
    """

    matrix: np.ndarray
    mm: float
    degrees: float
    overlap: float
    similarity: float

    def figures(self) -> dict[str, Any]:
        """Rounded JSON values."""
        return {
            "moved_mm": round(self.mm, 2),
            "rotated_degrees": round(self.degrees, 2),
            "overlap": round(self.overlap, 3),
            "similarity": round(self.similarity, 4),
            "matrix_lps": [[round(float(value), 6) for value in row] for row in self.matrix],
        }


def register(reference: Scan, stack: Scan, should_stop: ShouldStop | None = None, *, fine: bool = True) -> Registration:
    """Find the rigid motion of a child between two stacks.

    Args:
        reference, stack: of one child, on any grids.
        should_stop: asked between the levels.
        fine: whether to go through the last level, which takes most of the time.

    Raises:
        ValueError: the stacks do not overlap.
        Cancelled: should_stop said so.
    """
    _check_overlap(reference, stack)
    nearby = reference.cropped(_NEARBY), stack.cropped(2 * _NEARBY)
    transform = _best_start(*nearby)
    levels = _levels(reference, stack)
    for place in levels if fine else levels[:1]:
        stop_if(should_stop)
        level = _Level.of(*nearby, *place)
        transform = level.optimized(transform)
    return _described(reference, stack, transform, -level.value(transform, "correlation"))


def refine(
    reference: Scan, stack: Scan, registration: Registration, should_stop: ShouldStop | None = None
) -> Registration:
    """Go on from a registration to the exact optimum of the correlation, for stacks that are known to fit together.

    Raises:
        Cancelled: should_stop said so.
    """
    nearby = reference.cropped(_NEARBY), stack.cropped(2 * _NEARBY)
    transform = euler_of(registration.matrix, points_inside(reference.mask).mean(axis=0))
    for place, steps in zip(_levels(reference, stack), _EXACT_STEPS, strict=True):
        stop_if(should_stop)
        level = _Level.of(*nearby, *place)
        transform = level.optimized(transform, exact_steps=steps)
    return _described(reference, stack, transform, -level.value(transform, "correlation"))


def _levels(reference: Scan, stack: Scan) -> tuple[tuple[float, float], tuple[float, float]]:
    """Point spread and voxels of the finer levels, mm."""
    thick = max(reference.thickness, stack.thickness)
    return (max(1.2 * thick, 4.0), 2.0), (max(1.1 * thick, 2.0), max(1.0, 0.25 * thick))


def _described(reference: Scan, stack: Scan, transform: sitk.Euler3DTransform, similarity: float) -> Registration:
    """A transform with what the record says of it."""
    matrix, points = matrix_of(transform), points_inside(reference.mask)
    moved = float(np.linalg.norm(moved_points(matrix, points) - points, axis=1).mean())
    common = overlap(reference, stack, matrix)
    return Registration(matrix, moved, rotation_degrees(matrix), common, similarity)


def overlap(reference: Scan, stack: Scan, matrix: np.ndarray) -> float:
    """Share of the smaller brain region that lies in both, when the reference is moved by a matrix."""
    points = points_inside(reference.mask)
    both = contained(moved_points(matrix, points), stack.mask).mean() * _volume(reference.mask)
    return float(min(1.0, both / min(_volume(reference.mask), _volume(stack.mask))))


def _volume(mask: sitk.Image) -> float:
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing()))


def _check_overlap(reference: Scan, stack: Scan) -> None:
    if overlap(reference, stack, np.eye(4)) < 0.05:
        distance = np.linalg.norm(points_inside(reference.mask).mean(axis=0) - points_inside(stack.mask).mean(axis=0))
        raise ValueError(
            f"{stack.name} does not overlap with {reference.name}: their brains lie {distance:.0f} mm apart in the "
            "scanner's coordinates; check that both are of one session."
        )


@dataclass(frozen=True)
class _Level:
    """Both stacks with one point spread; mask: where to compare, on the first one's grid."""

    fixed: sitk.Image
    moving: sitk.Image
    mask: sitk.Image

    @classmethod
    def of(cls, reference: Scan, stack: Scan, fwhm: float, spacing: float) -> _Level:
        fixed = reference.blurred(fwhm, spacing)
        mask = sitk.Resample(dilated(reference.mask, _SURROUNDINGS), fixed, sitk.Transform(), sitk.sitkNearestNeighbor)
        return cls(fixed, stack.blurred(fwhm, spacing), mask)

    def method(self, metric: str) -> sitk.ImageRegistrationMethod:
        """What compares both at a transform."""
        method = sitk.ImageRegistrationMethod()
        if metric == "information":
            method.SetMetricAsMattesMutualInformation(_BINS)
        else:
            method.SetMetricAsCorrelation()
        method.SetMetricFixedMask(self.mask)
        method.SetInterpolator(sitk.sitkLinear)
        return method

    def value(self, transform: sitk.Transform, metric: str) -> float:
        """The metric, lower is better; infinite where hardly anything overlaps."""
        method = self.method(metric)
        method.SetInitialTransform(transform)
        try:
            return float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:  # too few points in both
            return np.inf

    def optimized(
        self, transform: sitk.Euler3DTransform, metric: str = "correlation", exact_steps: int | None = None
    ) -> sitk.Euler3DTransform:
        """The transform at the nearest optimum.

        Args:
            exact_steps: None comes near it from afar; a number goes on from there by so many line searches.
        """
        method = self.method(metric)
        if exact_steps is None:
            step = self.fixed.GetSpacing()[0] / 2
            method.SetOptimizerAsRegularStepGradientDescent(
                step, 0.002, _MOST_STEPS, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-8
            )
        else:
            method.SetOptimizerAsConjugateGradientLineSearch(
                1.0, exact_steps, 1e-7, 10, *_LINE_SEARCH, method.EachIteration, 0.5
            )
        method.SetOptimizerScalesFromPhysicalShift()
        result = sitk.Euler3DTransform(transform)
        method.SetInitialTransform(result, True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:  # it left the overlap
            return sitk.Euler3DTransform(transform)
        return result


def _best_start(reference: Scan, stack: Scan) -> sitk.Euler3DTransform:
    """The coarsest level: the best of several starts, each optimized."""
    level = _Level.of(reference, stack, max(_COARSE[0], reference.thickness, stack.thickness), _COARSE[1])
    centre = points_inside(reference.mask).mean(axis=0)
    shift = points_inside(stack.mask).mean(axis=0) - centre
    starts = []
    for angles, translation in product(product(_START_ANGLES, repeat=3), (np.zeros(3), shift)):
        start = sitk.Euler3DTransform()
        start.SetCenter(centre.tolist())
        start.SetRotation(*np.radians(angles).tolist())
        start.SetTranslation(translation.tolist())
        starts.append((level.value(start, "information"), len(starts), start))
    optimized = [level.optimized(start, "information") for _, _, start in sorted(starts)[:_STARTS_TRIED]]
    return min(optimized, key=lambda transform: level.value(transform, "information"))
