"""Joint data consistency: one volume whose simulated acquisitions agree with all stacks at once.

    minimize over X:   sum_k |W_k^(1/2) (Y_k - A_k X)|^2  +  |X - X_0|^2

A_k is the observation model of a stack (`operator`), W_k its weight: how much less noise the stack has than X_0 has
error, zero outside the brain, less where a slice disagrees. X_0 is what the networks made of the single stacks; where
no stack has information, it stays. For one stack this is `data_consistency.make_consistent`, which solves it in closed
form; several stacks on several grids take conjugate gradients (Hestenes and Stiefel, 1952). Few steps suffice: X_0 is
near, and the damping leaves no direction that converges slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..transforms.data_consistency import DEVIATIONS_PER_MAD
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .operator import StackOperator

_MOST_STEPS = 8
# Chosen on a newborn and an atlas with noise of 2 %; the least one is that of a single scan of slices three times as
# thick as the result's voxels.
_RIDGE_PER_RATIO, _LEAST_RIDGE, _MOST_RIDGE = 0.6, 0.013, 10.0
_ENOUGH = 0.01  # of the first residual: more steps fit the noise


@dataclass(frozen=True)
class Term:
    """One stack in the joint problem.

    operator: A_k. measured: Y_k (z, y, x). weights: (z, y, x), 0 to 1, how far to trust each voxel. ridge: the variance
    of the stack's noise over that of the error of X_0, see `ridge_of`.
    """

    operator: StackOperator
    measured: torch.Tensor
    weights: torch.Tensor
    ridge: float

    @classmethod
    def of(cls, operator: StackOperator, measured: torch.Tensor, weights: torch.Tensor, start: torch.Tensor) -> Term:
        """A term whose ridge is measured at X_0."""
        residual = measured - operator.apply(start)
        axis = 2 - int(np.argmax(operator.stack.spacing))
        return cls(operator, measured, weights, ridge_of(residual.cpu().numpy(), weights.cpu().numpy() > 0, axis))


def ridge_of(residual: np.ndarray, inside: np.ndarray, axis: int) -> float:
    """How much to damp a stack: a share of its noise over what X_0 misses of it.

    The noise is the median absolute diagonal difference of 2 x 2 voxels within the slices, as in
    `data_consistency.noise_level`, but of the residual: fine anatomy, which would count as noise, is mostly in X_0.

    Args:
        residual: (z, y, x), Y - A X_0. inside: bool, the same shape, where the stack counts. axis: across the slices.
    """
    values, inside = (np.moveaxis(array, axis, 0) for array in (residual, inside))
    corners = [(slice(None), y, x) for y in (slice(-1), slice(1, None)) for x in (slice(-1), slice(1, None))]
    whole = np.logical_and.reduce([inside[corner] for corner in corners])
    if not whole.any():
        return _LEAST_RIDGE
    a, b, c, d = (values[corner][whole].astype(np.float64) for corner in corners)
    noise = (DEVIATIONS_PER_MAD * float(np.median(np.abs(a - b - c + d))) / 2) ** 2
    missing = float(np.mean(values[inside].astype(np.float64) ** 2)) - noise
    return float(np.clip(_RIDGE_PER_RATIO * noise / max(missing, 1e-12 + 1e-3 * noise), _LEAST_RIDGE, _MOST_RIDGE))


@dataclass(frozen=True)
class _NormalEquations:
    """sum_k A_k^T W_k A_k / ridge_k + 1, and its right side. free: (z, y, x), 1 where the volume may change, else 0."""

    terms: list[Term]
    free: torch.Tensor
    should_stop: ShouldStop | None

    def right_side(self, start: torch.Tensor) -> torch.Tensor:
        """What the stacks hold beyond the start, (z, y, x)."""
        coefficients = self.terms[0].operator.spline.coefficients(start)
        return self._gathered(term.measured - term.operator.sample(coefficients) for term in self.terms)

    def apply(self, volume: torch.Tensor) -> torch.Tensor:
        """The left side, (z, y, x)."""
        coefficients = self.terms[0].operator.spline.coefficients(volume)
        return volume + self._gathered(term.operator.sample(coefficients) for term in self.terms)

    def _gathered(self, images: Iterator[torch.Tensor]) -> torch.Tensor:
        """The sum of A^T W Y over the stacks, each Y being made when its turn comes; all share one spline."""
        total = torch.zeros(())
        for term, image in zip(self.terms, images, strict=True):
            stop_if(self.should_stop)
            total = term.operator.spread(term.weights * image).div_(term.ridge).add_(total.to(image.device))
        return self.terms[0].operator.spline.adjoint(total) * self.free


def fuse(
    start: torch.Tensor,
    terms: list[Term],
    inside: torch.Tensor,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> torch.Tensor:
    """Bring a volume to agreement with all stacks.

    Args:
        start: X_0, (z, y, x) float32.
        terms: the stacks, on the device of `start`.
        inside: (z, y, x) bool; outside, X_0 stays.
        progress: called after each step. should_stop: asked between the stacks of each step.

    Returns:
        (z, y, x) float32.

    Raises:
        Cancelled: should_stop said so.
    """
    report, equations = scaled(progress, 0, 1), _NormalEquations(terms, inside.to(start.dtype), should_stop)
    residual = equations.right_side(start)
    change, direction = torch.zeros_like(start), residual.clone()
    energy = first = _energy(residual)
    for step in range(_MOST_STEPS):
        if energy <= _ENOUGH**2 * first or energy == 0:
            break
        report(step / _MOST_STEPS, f"Fusing the stacks, step {step + 1} of at most {_MOST_STEPS}")
        image = equations.apply(direction)
        length = energy / float((direction.double() * image.double()).sum())
        change += length * direction
        residual -= length * image
        before, energy = energy, _energy(residual)
        direction = residual + (energy / before) * direction
    return start + change


def _energy(volume: torch.Tensor) -> float:
    return float((volume.double() ** 2).sum())
