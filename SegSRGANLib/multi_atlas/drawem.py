"""Expectation-maximization segmentation of the neonatal brain, the essentials of DrawEM.

A. Makropoulos, I. Gousias, C. Ledig, P. Aljabar, A. Serag, J. Hajnal, A. D. Edwards, S. Counsell, D. Rueckert,
"Automatic whole brain MRI segmentation of the developing neonatal brain", IEEE TMI 33 (2014) 1818-1831.

The priors of the mixture (`transforms.tissue_mixture`) come from registered atlases, and its intensities are y_i / b_i,
with the bias field b: after each M-step

    b = the polynomial that minimizes sum_i w_i (y_i - b_i sum_k p_ik mu_k)^2,    w_i = sum_k p_ik / sigma_k^2.

Between the iterations, `partial_volume` corrects the film of false white matter between CSF and cortex.

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

from ..transforms.tissue_borders import distances_between
from ..transforms.tissue_mixture import ENERGY, Neighbours, TissueMixture
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .bias_polynomial import fit_bias
from .evidence import Evidence, WarpedAtlas, gather
from .partial_volume import CORTEX, FLUID, OTHER, OUTSIDE, WHITE, Roles, correct_partial_volume
from .priors import tissue_priors

_log = logging.getLogger(__name__)


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
        likelihood = model.mixture.expect(use_neighbours=iteration > 0)
        if iteration % 2:
            model.correct_partial_volume()
        if iteration > 2 and abs(likelihood - before) < options.tolerance:
            break
        before = likelihood
        model.maximize()
    report(1.0, "EM done")
    return evidence.whole(model.found(int(np.searchsorted(tissues, label))))


class _Model:
    """The mixture of the voxels inside the mask, with the bias field."""

    def __init__(
        self, evidence: Evidence, tissues: np.ndarray, priors: np.ndarray, label: int, options: DrawEmOptions
    ) -> None:
        self.options = options
        self.image, self.mask = evidence.image, evidence.mask
        self.roles = _roles(tissues, label, options)
        neighbours = Neighbours.of(evidence.mask, evidence.grid.spacing)
        energy = ENERGY[distances_between(evidence.labels, tissues)]
        inside = np.ascontiguousarray(priors[:, evidence.mask].T, np.float32)
        self.mixture = TissueMixture(self.image[self.mask], inside, neighbours, energy, options.mrf)

    def correct_partial_volume(self) -> None:
        """Move probability off the film of false white matter, see `partial_volume`."""
        if self.roles is None:
            return
        whole = [self._whole(part.T) for part in (self.mixture.posteriors, self.mixture.priors)]
        correct_partial_volume(*whole, self.roles, self.mask)
        for part, corrected in zip((self.mixture.posteriors, self.mixture.priors), whole, strict=True):
            part[:] = corrected[:, self.mask].T

    def maximize(self) -> None:
        """The M-step: Gaussians, then the bias field."""
        self.mixture.maximize()
        if not self.options.bias_degree:
            return
        posteriors = self.mixture.posteriors
        expected = self._whole(posteriors @ self.mixture.means)
        precision = self._whole(posteriors @ (1 / self.mixture.deviations**2))
        field = fit_bias(self.image, expected, precision, self.options.bias_degree)
        self.mixture.intensity = (self.image / field)[self.mask]

    def found(self, number: int) -> np.ndarray:
        """Where a tissue is the most probable one, (z, y, x) bool."""
        return self._whole(self.mixture.posteriors.argmax(1) == number)

    def _whole(self, values: np.ndarray) -> np.ndarray:
        """Values (..., voxels) of the mask as (..., z, y, x), 0 outside."""
        whole = np.zeros((*values.shape[:-1], *self.mask.shape), values.dtype)
        whole[..., self.mask] = values
        return whole


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
