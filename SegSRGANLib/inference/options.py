"""What a user can choose of a run; saved with every result."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..data.grid import Grid, auto_spacing, check_output, output_grid
from ..models.card import ModelCard
from .augmented_prediction import MOST_RUNS
from .predictor import PredictionOptions

AUTO = "auto"


@dataclass(frozen=True)
class EnhanceOptions:
    """What a user can choose; saved with every result.

    spacing: of the output in mm, one number or (x, y, z); or "auto" for the scan's own inside its slices, within what
        the model was trained to make, see `auto_spacing`.
    interpolator: of the first upsampling, see `resample.INTERPOLATORS`.
    bias_correction: N4 before anything else.
    threshold: probability from which a voxel is cortex, or another class of the model.
    prediction: patches, device and precision.
    consistency: bring the intensities to agreement with the scan, see `enforce_data_consistency`.
    refinement: move the borders of the tissues to where the intensities change, for models whose classes fill the
        brain, see `refinement.refine`.
    uncertainty: number of runs on mirrored and shifted copies, see `predict_augmented`; 0 for none.
    as_original: run the network as the original project does: axes as stored, the whole volume in zeros, patches at a
        fixed step and their plain mean, no agreement with the scan, no refinement, nothing below the scan's minimum.
        None: as the model's card says, which is so for imported models of the original project.
    """

    spacing: float | tuple[float, float, float] | str = AUTO
    interpolator: str = "bspline"
    bias_correction: bool = False
    threshold: float = 0.5
    prediction: PredictionOptions = PredictionOptions()
    consistency: bool = True
    refinement: bool = True
    uncertainty: int = 0
    as_original: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.spacing, str) and self.spacing != AUTO:
            raise ValueError(f"The output spacing is a number in mm or auto, not {self.spacing!r}.")
        if self.uncertainty != 0 and not 2 <= self.uncertainty <= MOST_RUNS:
            raise ValueError(f"The uncertainty takes 2 to {MOST_RUNS} runs, or 0 for none, not {self.uncertainty}.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"The threshold on the probability lies between 0 and 1, not at {self.threshold}.")

    def output(self, grid: Grid, card: ModelCard) -> Grid:
        """The grid of the result of a scan on `grid` by the model of `card`.

        Raises:
            ValueError: a spacing that cannot be, see `output_grid` and `check_output`.
        """
        spacing = auto_spacing(grid, card.training_spacing) if isinstance(self.spacing, str) else self.spacing
        output = output_grid(grid, spacing)
        check_output(grid, output)
        return output

    def for_model(self, card: ModelCard) -> EnhanceOptions:
        """These options with `as_original` decided, and with what it brings."""
        if not (card.as_original if self.as_original is None else self.as_original):
            return replace(self, as_original=False)
        prediction = replace(self.prediction, as_original=True)
        return replace(self, as_original=True, prediction=prediction, consistency=False, refinement=False)
