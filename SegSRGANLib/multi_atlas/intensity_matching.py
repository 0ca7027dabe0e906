"""The intensity scale of registered atlases, made that of the volume to segment."""

from __future__ import annotations

import numpy as np

from .evidence import Evidence

_SAMPLES = 4  # every so many voxels are enough for the medians


def matched_images(evidence: Evidence) -> np.ndarray:
    """Atlas images on the scale of the volume: the medians of each tissue become equal, and lines join them.

    The tissues are those of the registered atlas. Their volumes differ between atlas and subject (large ventricles,
    other ages), which misleads the matching of whole histograms but not that of the medians.

    Returns:
        (atlas, z, y, x) float32.
    """
    return np.stack(
        [_matched(image, labels, evidence) for image, labels in zip(evidence.images, evidence.labels, strict=True)]
    )


def _matched(image: np.ndarray, labels: np.ndarray, evidence: Evidence) -> np.ndarray:
    tissue, own, wanted = (array[evidence.mask][::_SAMPLES] for array in (labels, image, evidence.image))
    pairs = sorted(
        (float(np.median(own[tissue == k])), float(np.median(wanted[tissue == k])))
        for k in np.unique(tissue[tissue > 0])
    )
    levels = np.array([0.0] + [a for a, _ in pairs])
    values = np.maximum.accumulate(np.array([0.0] + [b for _, b in pairs]))  # the order of the tissues is kept
    slope = values[-1] / levels[-1] if levels[-1] > 0 else 1.0
    above = values[-1] + slope * (image - levels[-1])
    return np.where(image > levels[-1], above, np.interp(image, levels, values)).astype(np.float32)
