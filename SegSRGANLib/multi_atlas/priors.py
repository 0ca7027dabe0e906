"""Tissue priors from registered atlases, each weighted where it resembles the volume."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .alignment import blurred
from .evidence import Evidence
from .intensity_matching import matched_images

_FLOOR = 1e-3  # squared difference relative to the volume's intensity: an exact copy does not win alone


def tissue_priors(evidence: Evidence, width: float, similarity_width: float) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each tissue before its intensity is seen.

    Each atlas counts by the inverse of its squared difference from the volume, averaged around the voxel
    (Makropoulos et al. 2014, section III: local weights of the atlases).

    Args:
        evidence: the volume and its registered atlases.
        width: FWHM in mm by which the labels are softened: the uncertainty of the registration.
        similarity_width: FWHM in mm over which atlas and volume are compared.

    Returns:
        The labels (tissues,), 0 among them; and their priors (tissues, z, y, x) float32 with sum 1.
    """
    weights = _atlas_weights(evidence, similarity_width)
    tissues = np.union1d([0], np.unique(evidence.labels[:, evidence.mask]))
    priors = []
    for tissue in tissues:
        votes = sum(w * (labels == tissue) for w, labels in zip(weights, evidence.labels, strict=True))
        priors.append(_smooth(votes, evidence, width))
    stack = np.stack(priors).clip(0)
    return tissues, stack / stack.sum(0).clip(1e-6)


def _atlas_weights(evidence: Evidence, width: float) -> np.ndarray:
    """(atlas, z, y, x) float32 with sum 1."""
    scale = np.percentile(evidence.image[evidence.mask], 99)
    squares = [((image - evidence.image) / scale) ** 2 for image in matched_images(evidence)]
    weights = np.stack([1 / (_smooth(square, evidence, width).clip(0) + _FLOOR) for square in squares])
    return weights / weights.sum(0)


def _smooth(volume: np.ndarray, evidence: Evidence, width: float) -> np.ndarray:
    image = sitk.GetImageFromArray(volume.astype(np.float32))
    image.SetSpacing(evidence.grid.spacing)
    return sitk.GetArrayFromImage(blurred(image, width))
