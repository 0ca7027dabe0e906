"""Expectation-maximization segmentation of the neonatal brain, the essentials of DrawEM.

A. Makropoulos, I. Gousias, C. Ledig, P. Aljabar, A. Serag, J. Hajnal, A. D. Edwards, S. Counsell, D. Rueckert,
"Automatic whole brain MRI segmentation of the developing neonatal brain", IEEE TMI 33 (2014) 1818-1831.

Each voxel i has a tissue k with prior pi_ik from registered atlases and intensity y_i ~ b_i N(mu_k, sigma_k^2), b the
bias field. Expectation and maximization alternate:

    p_ik = pi_ik N(y_i / b_i; mu_k, sigma_k^2) exp(-beta sum_l G_kl sum_j p_jl / d_ij) / sum over k,
    mu_k = sum_i p_ik y_i / b_i / sum_i p_ik,    sigma_k^2 likewise,
    b = the polynomial that minimizes sum_i w_i (y_i - b_i sum_k p_ik mu_k)^2,    w_i = sum_k p_ik / sigma_k^2,

j runs over the six neighbours at distance d_ij in mm, and G is 0 for one tissue, 1 for tissues that border in the
atlases and 5 for tissues that do not. Between the iterations, `partial_volume` corrects the film of false white matter
between CSF and cortex.

Simplified against the original: one Gaussian per label of the atlases instead of 50 regions in a hierarchy of tissues;
the given atlases instead of the original's; no model averaging; the field is multiplicative on plain intensities;
islands of CSF in white matter stay.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .bias_polynomial import fit_bias
from .evidence import Evidence, WarpedAtlas, gather
from .partial_volume import CORTEX, FLUID, OTHER, OUTSIDE, WHITE, Roles, correct_partial_volume
from .priors import distances_between, tissue_priors

_log = logging.getLogger(__name__)
_ENERGY = np.array([0.0, 1.0, 5.0], np.float32)  # G of tissues that are the same, neighbours, distant
_NARROWEST = 0.01  # sigma relative to the volume's 99th percentile, so that no Gaussian collapses


@dataclass(frozen=True)
class DrawEmOptions:
    """Parameters of the EM.

    prior_width: FWHM in mm by which the atlases' labels are softened. similarity_width: FWHM in mm over which the
    atlases are compared with the volume. mrf: beta, mm. bias_degree: of the polynomial, 0 for no bias. iterations: at
    most. tolerance: of the log-likelihood per voxel, at which the iterations stop. white_matter, fluid: labels of the
    atlases that the partial volume correction needs, outer CSF without the ventricles; empty to leave it out. It is
    also left out where the atlases have no such tissue inside the mask.
    """

    prior_width: float = 1.0
    similarity_width: float = 4.0
    mrf: float = 0.5
    bias_degree: int = 4
    iterations: int = 15
    tolerance: float = 1e-3
    white_matter: tuple[int, ...] = (1,)
    fluid: tuple[int, ...] = (4,)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: a negative width, strength or degree, or no iteration.
        """
        if min(self.prior_width, self.similarity_width, self.mrf, self.bias_degree, self.tolerance) < 0:
            raise ValueError("The widths, mrf, bias_degree and tolerance of the EM must not be negative.")
        if self.iterations < 1:
            raise ValueError(f"The EM needs at least one iteration, not {self.iterations}.")


def segment(
    image: sitk.Image,
    warped: Sequence[WarpedAtlas],
    label: int,
    options: DrawEmOptions = DrawEmOptions(),
    mask: sitk.Image | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> sitk.Image:
    """Segment the cortex, or with the partial volume correction left out any tissue.

    Args:
        image: T2-weighted volume.
        warped: its registered atlases, from `registration.register_atlases`.
        label: the cortex's number in the atlases.
        options: see `DrawEmOptions`.
        mask: of the brain, on the image's grid; by default where at least half of the atlases have a tissue.
        progress: called with the fraction done.
        should_stop: asked between the iterations, about every second.

    Returns:
        uint8, 0 or 1, on the image's grid: where the label is the most probable one.

    Raises:
        ValueError: no atlas, another grid, an empty mask, or no atlas with the label inside the mask.
        Cancelled: when `should_stop` says so.
    """
    evidence = gather(image, warped, label, mask, 1)
    tissues, priors = tissue_priors(evidence, options.prior_width, options.similarity_width)
    model = _Model(evidence, tissues, priors, label, options)
    report = scaled(progress, 0, 1)
    before = -np.inf
    for iteration in range(options.iterations):
        stop_if(should_stop)
        report(iteration / options.iterations, "EM")
        likelihood = model.expect(use_neighbours=iteration > 0)
        if model.roles is not None and iteration % 2:
            correct_partial_volume(model.posteriors, model.priors, model.roles, evidence.mask)
        if iteration > 2 and abs(likelihood - before) < options.tolerance:
            break
        before = likelihood
        model.maximize()
    report(1.0, "EM done")
    return evidence.whole(tissues[model.posteriors.argmax(0)] == label)


class _Model:
    """The mixture while it is fitted: priors and posteriors (tissues, z, y, x), means, deviations, bias field."""

    def __init__(
        self, evidence: Evidence, tissues: np.ndarray, priors: np.ndarray, label: int, options: DrawEmOptions
    ) -> None:
        self.options = options
        self.image, self.mask = evidence.image, evidence.mask
        self.priors = priors * evidence.mask
        self.posteriors = self.priors.copy()
        self.roles = _roles(tissues, label, options)
        self._steps = 1 / np.array(evidence.grid.spacing[::-1], np.float32)  # per mm along z, y, x
        self._energy = _ENERGY[distances_between(evidence.labels, tissues).astype(int)]
        self._corrected = self.image
        self._narrowest = _NARROWEST * float(np.percentile(self.image[self.mask], 99))
        self._fit_gaussians()

    def expect(self, use_neighbours: bool) -> float:
        """The E-step. Returns the mean log-likelihood of a voxel."""
        energy = self._neighbour_energy() if use_neighbours and self.options.mrf else None
        for k in range(len(self.priors)):
            exponent = -0.5 * ((self._corrected - self.means[k]) / self.deviations[k]) ** 2
            if energy is not None:
                exponent -= self.options.mrf * energy[k]
            np.exp(exponent, out=exponent)
            self.posteriors[k] = self.priors[k] * exponent / self.deviations[k]
        total = self.posteriors.sum(0)
        # where no tissue explains the intensity, the prior stays
        lost = self.mask & (total < 1e-30)
        self.posteriors[:, lost] = self.priors[:, lost]
        self.posteriors /= np.where(lost | ~self.mask, 1, total)
        return float(np.log(total[self.mask].clip(1e-30)).mean())

    def maximize(self) -> None:
        """The M-step: Gaussians, then the bias field."""
        self._fit_gaussians()
        if not self.options.bias_degree:
            return
        expected = np.tensordot(self.means, self.posteriors, 1)
        precision = np.tensordot(1 / self.deviations**2, self.posteriors, 1)
        self._corrected = self.image / fit_bias(self.image, expected, precision, self.options.bias_degree)

    def _fit_gaussians(self) -> None:
        weight = self.posteriors.sum((1, 2, 3), dtype=np.float64).clip(1e-6)
        flat = self.posteriors.reshape(len(weight), -1)
        values = self._corrected.ravel()
        self.means = ((flat @ values) / weight).astype(np.float32)
        variance = (flat @ values**2) / weight - self.means.astype(np.float64) ** 2
        self.deviations = np.sqrt(variance.clip(self._narrowest**2)).astype(np.float32)

    def _neighbour_energy(self) -> np.ndarray:
        """sum_l G_kl sum_j p_jl / d_ij for every tissue k: (tissues, z, y, x)."""
        nearby = np.zeros_like(self.posteriors)
        for axis, weight in enumerate(self._steps, 1):
            low, high = [slice(None)] * 4, [slice(None)] * 4
            low[axis], high[axis] = slice(None, -1), slice(1, None)
            nearby[tuple(low)] += weight * self.posteriors[tuple(high)]
            nearby[tuple(high)] += weight * self.posteriors[tuple(low)]
        return np.tensordot(self._energy, nearby, 1)


def _roles(tissues: np.ndarray, label: int, options: DrawEmOptions) -> Roles | None:
    """What the partial volume correction needs to know; None when it is left out."""
    of = np.full(len(tissues), OTHER)
    for numbers, role in (((0,), OUTSIDE), (options.fluid, FLUID), ((label,), CORTEX), (options.white_matter, WHITE)):
        found = np.isin(tissues, numbers)
        if not found.any():
            _log.info("No partial volume correction: no atlas has the labels %s inside the mask.", numbers)
            return None
        of[found] = role
    return Roles(of)
