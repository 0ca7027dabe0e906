"""What a user can choose of a run; saved with every result."""

from __future__ import annotations

from dataclasses import dataclass

from .augmented_prediction import MOST_RUNS
from .predictor import PredictionOptions

DEFAULT_SPACING = 0.5  # mm


@dataclass(frozen=True)
class EnhanceOptions:
    """What a user can choose; saved with every result.

    spacing: of the output in mm, one number or (x, y, z).
    interpolator: of the first upsampling, see `resample.INTERPOLATORS`.
    bias_correction: N4 before anything else.
    threshold: probability from which a voxel is cortex, or another class of the model.
    prediction: patches, device and precision.
    consistency: bring the intensities to agreement with the scan, see `enforce_data_consistency`.
    uncertainty: number of runs on mirrored and shifted copies, see `predict_augmented`; 0 for none.
    """

    spacing: float | tuple[float, float, float] = DEFAULT_SPACING
    interpolator: str = "bspline"
    bias_correction: bool = False
    threshold: float = 0.5
    prediction: PredictionOptions = PredictionOptions()
    consistency: bool = True
    uncertainty: int = 0

    def __post_init__(self) -> None:
        if self.uncertainty != 0 and not 2 <= self.uncertainty <= MOST_RUNS:
            raise ValueError(f"The uncertainty takes 2 to {MOST_RUNS} runs, or 0 for none, not {self.uncertainty}.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"The threshold on the probability lies between 0 and 1, not at {self.threshold}.")
