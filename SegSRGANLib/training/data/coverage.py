"""What a training covers, for the model's card: measured on its volumes under its own changes of contrast."""

from __future__ import annotations

import math

import numpy as np
import torch

from ...models.card import Domain, Range
from ...quality.domain import Brain
from .augmentation import random_contrast
from .patch_simulation import SimulationConfig
from .subject import Subject, brain_table

_STEP = 2.4  # mm between the voxels that are looked at: enough for volume, shape and percentiles
_DRAWS = 6  # contrasts of each volume
_ANY_CONTRAST = 0.5  # share of synthetic contrasts from which a model was trained on them all
_PERCENTILES = (5, 95)


def training_domain(subjects: list[Subject], config: SimulationConfig, seed: int) -> Domain:
    """Measure the training volumes as `domain.brain_items` measures scans.

    The patches are stretched by up to `anisotropic_zoom` along each axis, which widens the range of shapes.

    Args:
        subjects: that the model learns from. config: what varies. seed: of the contrasts.
    """
    rng = np.random.default_rng(seed)
    brains = [brain for subject in subjects for brain in _drawn(subject, config, rng)]
    stretch = math.exp(2 * config.anisotropic_zoom)
    shapes = [brain.shape for brain in brains]
    volumes = [brain.ml for brain in brains]
    contrasts = np.percentile([brain.contrast for brain in brains], _PERCENTILES).tolist()
    return Domain(
        inplane_factor=(1.0, max(1.0, config.inplane_factor[1])),
        brain_ml=_rounded(min(volumes), max(volumes), 1),
        shape=_rounded(min(shapes) / stretch, min(1.0, max(shapes) * stretch), 3),
        contrast=None if config.augmentation.synthetic >= _ANY_CONTRAST else _rounded(*contrasts, 3),
    )


def _drawn(subject: Subject, config: SimulationConfig, rng: np.random.Generator) -> list[Brain]:
    """The brain of a subject under several contrasts of a scanner."""
    step = max(1, round(_STEP / subject.spacing))
    coarse = (slice(None, None, step),) * 3
    intensity = torch.from_numpy(np.ascontiguousarray(subject.intensity[coarse]))
    labels = torch.from_numpy(np.ascontiguousarray(subject.labels[coarse]))
    inside = brain_table(config.augmentation.surroundings)[labels.numpy()] > 0
    if not inside.any():
        return []
    spacing = (subject.spacing * step,) * 3
    contrasts = [intensity] + [random_contrast(intensity, labels, config.augmentation, rng) for _ in range(_DRAWS)]
    return [Brain.of(values.numpy(), inside, spacing) for values in contrasts]


def _rounded(low: float, high: float, digits: int) -> Range:
    return round(low, digits), round(high, digits)
