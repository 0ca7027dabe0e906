"""The result of one run: images and record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import SimpleITK as sitk


@dataclass
class Enhancement:
    """The result of one run, all images but the mask on one grid.

    sr: super-resolved intensity, float32, in the input's units.
    probabilities: of each class that the model segments, by its name, float32 in [0, 1]; most models have one class,
        "cortex". Empty for a model that does not segment.
    labels: uint8, 1 = the first class (the cortex), 2 = the second ..., see `classes.label_map`; None for a model that
        does not segment.
    record: what was done, with what, on what (JSON values).
    brain: uint8, 1 = brain, or the classes of a model that was trained on several: what the model itself predicts;
        None for most models, and when the program found a mask.
    mask: uint8, 1 = brain, on the input's grid: what the program found when it was asked to; else None.
    maps: where to believe the result, by name, see `assessment.Quality`.
    """

    sr: sitk.Image
    probabilities: dict[str, sitk.Image]
    labels: sitk.Image | None
    record: dict[str, Any]
    brain: sitk.Image | None = None
    maps: dict[str, sitk.Image] = field(default_factory=dict)
    mask: sitk.Image | None = None

    @property
    def probability(self) -> sitk.Image | None:
        """Of the first class, which is the cortex in most models; None for a model that does not segment."""
        return next(iter(self.probabilities.values()), None)
