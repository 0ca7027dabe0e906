"""Tissues as Gaussians of the intensity with a prior at each voxel, fitted by expectation-maximization.

K. Van Leemput, F. Maes, D. Vandermeulen, P. Suetens, "Automated model-based tissue classification of MR images of the
brain", IEEE TMI 18 (1999) 897-908; with the energies of A. Makropoulos et al., IEEE TMI 33 (2014) 1818-1831 (DrawEM).

Each voxel i has a tissue k with prior pi_ik and intensity y_i ~ N(mu_k, sigma_k^2). Expectation and maximization
alternate:

    p_ik = pi_ik N(y_i; mu_k, sigma_k^2) exp(-beta sum_l G_kl sum_j p_jl / d_ij) / sum over k,
    mu_k = sum_i p_ik y_i / sum_i p_ik,    sigma_k^2 likewise,

j runs over the six neighbours at distance d_ij in mm, and G is 0 for one tissue, 1 for tissues that border and 5 for
tissues that do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ENERGY = np.array([0.0, 1.0, 5.0], np.float32)  # G of tissues that are the same, neighbours, distant
_NARROWEST = 0.01  # sigma relative to the 99th percentile of the intensity, so that no Gaussian collapses
_UNEXPLAINED = 1e-30  # a likelihood below it: no tissue explains the intensity
_BLOCK = 2**14  # voxels at once: their arrays stay in the processor's cache


@dataclass(frozen=True)
class Neighbours:
    """The six neighbours of the n voxels of a mask.

    indices: (6, n) int32, two along z, y and x each; n where a neighbour lies outside of the mask. weights: 1 / mm,
    along z, y, x.
    """

    indices: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, inside: np.ndarray, spacing: Sequence[float]) -> Neighbours:
        """Those of a mask (z, y, x) bool, whose voxels have sides of `spacing` mm (x, y, z)."""
        count = int(np.count_nonzero(inside))
        number = np.full([length + 2 for length in inside.shape], count, np.int32)
        number[1:-1, 1:-1, 1:-1][inside] = np.arange(count, dtype=np.int32)
        indices = []
        for axis in range(3):
            for step in (0, 2):
                moved = [slice(1, -1)] * 3
                moved[axis] = slice(step, step + inside.shape[axis])
                indices.append(number[tuple(moved)][inside])
        return cls(np.stack(indices), 1 / np.array(spacing[::-1], np.float32))


class TissueMixture:
    """The mixture while it is fitted.

    Args:
        intensity: (voxels,) float32.
        priors: (voxels, tissues) float32 with sum 1; they are the first posteriors, too.
        neighbours: of the voxels. energy: G, (tissues, tissues). strength: beta, mm; 0 for no neighbours.
    """

    def __init__(
        self, intensity: np.ndarray, priors: np.ndarray, neighbours: Neighbours, energy: np.ndarray, strength: float
    ) -> None:
        self.intensity, self.priors = intensity, priors
        self._neighbours, self._energy, self._strength = neighbours, strength * energy.astype(np.float32), strength
        self._narrowest = _NARROWEST * float(np.percentile(intensity, 99))
        nothing = np.zeros((1, priors.shape[1]), np.float32)  # what voxels outside of the mask say
        self._padded = np.concatenate([priors, nothing])
        self._spare = np.zeros_like(self._padded)  # during an E-step: the posteriors of before
        self.maximize()

    @property
    def posteriors(self) -> np.ndarray:
        """(voxels, tissues) float32 with sum 1; a view that may be written to."""
        return self._padded[:-1]

    def expect(self, use_neighbours: bool = True) -> float:
        """The E-step. Returns the mean log-likelihood of a voxel, without its constant."""
        found, self._spare = self._spare, self._padded
        room = [np.empty((_BLOCK, self.priors.shape[1]), np.float32) for _ in range(3)]
        likelihood, terms = 0.0, self._gaussians()
        for start in range(0, len(self.priors), _BLOCK):
            block = slice(start, min(start + _BLOCK, len(self.priors)))
            exponent, near, part = (space[: block.stop - start] for space in room)
            self._log_gaussians(block, terms, exponent)
            if use_neighbours and self._strength:
                self._near(block, near, part)
                exponent -= np.matmul(near, self._energy, out=part)
            likelihood += self._normalized(exponent, self.priors[block], found[block])
        self._padded = found
        return likelihood / len(self.priors)

    def _gaussians(self) -> tuple[np.float32, np.ndarray]:
        """A centre c, and (3, tissues) that make the logarithms of the Gaussians out of (y - c)^2, y - c and 1."""
        centre = np.float32(np.median(self.means))
        mean, precision = (self.means - centre).astype(np.float64), 1 / self.deviations.astype(np.float64) ** 2
        rows = (-0.5 * precision, mean * precision, -0.5 * mean**2 * precision + 0.5 * np.log(precision))
        return centre, np.stack(rows).astype(np.float32)

    def _log_gaussians(self, block: slice, terms: tuple[np.float32, np.ndarray], into: np.ndarray) -> None:
        """The logarithms of the Gaussians of a block's voxels, from the terms of `_gaussians`."""
        values = self.intensity[block] - terms[0]
        np.matmul(np.stack([values**2, values, np.ones_like(values)], 1), terms[1], out=into)

    def _near(self, block: slice, into: np.ndarray, part: np.ndarray) -> None:
        """sum_j p_jl / d_ij of each voxel of a block, of the posteriors before: (voxels, tissues)."""
        into[:] = 0
        for direction, indices in enumerate(self._neighbours.indices):
            np.take(self._spare, indices[block], axis=0, out=part, mode="clip")  # "raise" would copy
            part *= self._neighbours.weights[direction // 2]
            into += part

    @staticmethod
    def _normalized(exponent: np.ndarray, prior: np.ndarray, into: np.ndarray) -> float:
        """Posteriors from the logarithms of likelihoods, which are used up. Returns the sum of their logarithms."""
        likely = np.exp(exponent, out=exponent)
        likely *= prior
        total = likely @ np.ones((likely.shape[1], 1), np.float32)
        lost = total[:, 0] < _UNEXPLAINED
        total[lost], likely[lost] = 1, prior[lost]
        np.divide(likely, total, out=into)
        total[lost] = _UNEXPLAINED
        return float(np.log(total).sum(dtype=np.float64))

    def maximize(self) -> None:
        """The M-step: mean and deviation of each tissue."""
        weight = self.posteriors.sum(0, dtype=np.float64).clip(1e-6)
        centre = self.intensity.mean(dtype=np.float64).astype(np.float32)  # squares around 0 keep their last digits
        values = self.intensity - centre
        mean = (values @ self.posteriors) / weight
        variance = (values**2 @ self.posteriors) / weight - mean**2
        self.means = (centre + mean).astype(np.float32)
        self.deviations = np.sqrt(variance.clip(self._narrowest**2)).astype(np.float32)
