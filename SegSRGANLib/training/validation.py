"""How good the network is on whole volumes that it does not learn from, beside spline interpolation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch

from ..data.classes import label_map
from ..data.grid import Grid
from ..inference.postprocessing import brain_mask
from ..inference.predictor import PredictionOptions, predict_volume
from ..metrics.image import psnr, ssim
from ..metrics.segmentation import dice
from ..networks.image_network import ImageNetwork
from ..transforms.acquisition import acquire
from ..transforms.data_consistency import enforce_data_consistency
from ..transforms.normalization import Normalization
from ..transforms.resample import upsample
from ..utils.progress import Progress, ShouldStop, scaled
from ..utils.triples import triple
from .config import ValidationConfig
from .data.subject import Subject

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_THRESHOLD = 0.5  # least probability of a label
_DICE_IN_DECIBELS = 10.0  # in the choice of the best model, 0.1 of Dice counts as 1 dB


@dataclass(frozen=True)
class Scores:
    """PSNR (dB) and SSIM inside the brain, of the network and of the spline; Dice of the segmentation, if any.

    dice: mean over the classes. class_dice: of each class, by its name. mask_dice: of the brain mask, if there is one.
    """

    name: str
    psnr: float
    psnr_spline: float
    ssim: float
    ssim_spline: float
    dice: float | None
    class_dice: dict[str, float] = field(default_factory=dict)
    mask_dice: float | None = None

    @property
    def selection_score(self) -> float:
        """One number to choose the best model by, dB."""
        return self.psnr + _DICE_IN_DECIBELS * (self.dice or 0.0)


@dataclass(frozen=True)
class ValidationCase:
    """One test volume with its simulated acquisition.

    interpolated, given: (z, y, x) float32, the spline and what the network gets, on the network's scale. scale: from
    that scale to the subject's, divided by the subject's maximum. spline: PSNR and SSIM of the spline.
    """

    subject: Subject
    interpolated: torch.Tensor
    given: torch.Tensor
    scale: float
    spline: tuple[float, float]

    @property
    def reference(self) -> np.ndarray:
        """The truth, divided by its maximum."""
        return self.subject.intensity / self.subject.intensity.max()


def prepare_case(
    subject: Subject, thickness: float, normalization: Normalization, consistent_input: bool = False
) -> ValidationCase:
    """Simulate thick slices along z and interpolate them back.

    Args:
        subject: see `loading.load_subject`.
        thickness: of the slices, mm; at least the subject's spacing.
        normalization: the network's intensity scale, as at prediction time taken from the acquisition.
        consistent_input: what the network gets, see `card.ModelCard`.
    """
    size = tuple(reversed(subject.intensity.shape))
    grid = Grid(size, triple([subject.spacing] * 3), (0.0, 0.0, 0.0), _IDENTITY)
    low = acquire(grid.image(subject.intensity), (subject.spacing, subject.spacing, max(thickness, subject.spacing)))
    scale = normalization.scale(sitk.GetArrayFromImage(low))
    interpolated = upsample(low, grid)
    given = enforce_data_consistency(low, interpolated) if consistent_input else interpolated
    on_scale = [torch.from_numpy(sitk.GetArrayFromImage(image) / np.float32(scale)) for image in (interpolated, given)]
    peak = float(subject.intensity.max())
    mask, reference = subject.labels > 0, subject.intensity / peak
    estimate = on_scale[0].numpy() * (scale / peak)
    spline = psnr(reference, estimate, mask), ssim(reference, estimate, mask)
    return ValidationCase(subject, *on_scale, scale / peak, spline)


def validate(
    network: ImageNetwork,
    validation_cases: list[ValidationCase],
    config: ValidationConfig,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> list[Scores]:
    """Scores of every test volume."""
    results = []
    for index, case in enumerate(validation_cases):
        part = scaled(progress, index / len(validation_cases), (index + 1) / len(validation_cases))
        predicted = predict_case(network, case, config, part, should_stop)
        reference, mask = case.reference, case.subject.labels > 0
        estimate = predicted[0] * np.float32(case.scale)
        overlaps = _overlaps(case.subject, predicted)
        overlap = float(np.mean(list(overlaps.values()))) if overlaps else None
        similarity = ssim(reference, estimate, mask), case.spline[1]
        sharpness = psnr(reference, estimate, mask), case.spline[0]
        masked = _mask_overlap(case.subject, predicted)
        results.append(Scores(case.subject.name, *sharpness, *similarity, overlap, overlaps, masked))
    return results


def predicted_labels(subject: Subject, predicted: np.ndarray) -> np.ndarray | None:
    """The classes (z, y, x) that a network's output (C, z, y, x) shows; None when it is intensity alone."""
    return None if len(predicted) == 1 else label_map(predicted[1 : 1 + len(subject.wanted)], _THRESHOLD)


def _overlaps(subject: Subject, predicted: np.ndarray) -> dict[str, float]:
    labels, truth = predicted_labels(subject, predicted), subject.class_table[subject.labels]
    if labels is None:
        return {}
    return {name: dice(truth == k, labels == k) for k, name in enumerate(subject.wanted, start=1)}


def _mask_overlap(subject: Subject, predicted: np.ndarray) -> float | None:
    return None if subject.mask is None else dice(subject.brain, brain_mask(predicted[1 + len(subject.wanted) :]) > 0)


def predict_case(
    network: ImageNetwork,
    case: ValidationCase,
    config: ValidationConfig,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> np.ndarray:
    """The network's output (C, z, y, x) on one test volume, on the network's scale."""
    patch = max(network.minimum, config.patch // network.multiple * network.multiple)
    options = PredictionOptions(patch=int(patch), overlap=config.overlap)
    return predict_volume(network, case.given, options, progress, should_stop).numpy()


def mean_scores(scores: list[Scores]) -> Scores:
    """The mean over the test volumes."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(score, name) for score in scores]))

    overlap = None if scores[0].dice is None else mean("dice")
    overlaps = {name: float(np.mean([score.class_dice[name] for score in scores])) for name in scores[0].class_dice}
    masked = None if scores[0].mask_dice is None else mean("mask_dice")
    figures = [mean(name) for name in ("psnr", "psnr_spline", "ssim", "ssim_spline")]
    return Scores("mean", *figures, overlap, overlaps, masked)
