"""The result of one run: images and record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import SimpleITK as sitk

from ..data.grid import Grid
from ..transforms.resample import resample_labels


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

    def like(self, grid: Grid) -> Enhancement:
        """The result with the voxels of another grid, which differs only in where it begins and ends.

        For comparisons: 155 slices that were simulated as thick ones come back as 156. What lies outside is 0.

        Raises:
            ValueError: the grid has other axes, another spacing, or voxels between those of the result.
        """
        own = Grid.of(self.sr)
        try:
            own.common(grid)
        except ValueError as error:
            raise ValueError(
                f"The result cannot have the given grid (spacing {grid.spacing}, origin {grid.origin}): {error} "
                f"The result has the spacing {own.spacing} and the origin {own.origin}, in the scan's field of view."
            ) from error

        def moved(image: sitk.Image | None) -> sitk.Image | None:
            same = image is not None and Grid.of(image).matches(own)
            return resample_labels(image, grid) if same else image

        return replace(
            self,
            sr=moved(self.sr),
            probabilities={name: moved(image) for name, image in self.probabilities.items()},
            labels=moved(self.labels),
            brain=moved(self.brain),
            maps={name: moved(image) for name, image in self.maps.items()},
            record={**self.record, "like": asdict(grid)},
        )
