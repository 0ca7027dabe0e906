"""The main job: one volume in, its super-resolution and its cortex out (`enhance`).

Steps: optional bias correction - intensity scale - spline interpolation onto the output grid - network on overlapping
patches - weighted recomposition - back to the input's units - quality measures. Panel, console, shell and cluster all
call `enhance`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.classes import label_map
from ..data.grid import Grid, output_grid
from ..data.reorient import CanonicalAxes
from ..models.checkpoint import Model
from ..quality.assessment import assess
from ..quality.preflight import judge
from ..quality.uncertainty import PredictiveVariance
from ..transforms.bias_field import correct_bias
from ..transforms.data_consistency import enforce_data_consistency
from ..transforms.resample import resample_labels, upsample
from ..utils.devices import choose_device
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .augmented_prediction import MOST_RUNS, predict_augmented
from .postprocessing import brain_mask
from .predictor import PredictionOptions, predict_volume
from .record import describe_run

_MARGIN = 8.0  # mm of surroundings that the network sees
_AIR = 0.1  # of the intensity scale: what is darker is air, or outside of the head


@dataclass(frozen=True)
class EnhanceOptions:
    """What a user can choose; saved with every result.

    spacing: of the output in mm, one number or (x, y, z).
    interpolator: of the first upsampling, see `resample.INTERPOLATORS`.
    bias_correction: N4 before anything else.
    threshold: probability from which a voxel is cortex, or another class of the model.
    prediction: patches, device and precision.
    consistency: bring the intensities to agreement with the scan, see `enforce_data_consistency`.
    uncertainty: number of runs on mirrored and shifted copies, see `uncertainty`; 0 for none.
    """

    spacing: float | tuple[float, float, float] = 0.5
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


@dataclass
class Enhancement:
    """The result of one run, all images on one grid.

    sr: super-resolved intensity, float32, in the input's units.
    probabilities: of each class that the model segments, by its name, float32 in [0, 1]; most models have one class,
        "cortex". Empty for a model that does not segment.
    labels: uint8, 1 = the first class (the cortex), 2 = the second ..., see `classes.label_map`; None for a model that
        does not segment.
    record: what was done, with what, on what (JSON values).
    brain: uint8, 1 = brain, or the classes of a model that was trained on several; None for most models.
    maps: where to believe the result, by name, see `assessment.Quality`.
    """

    sr: sitk.Image
    probabilities: dict[str, sitk.Image]
    labels: sitk.Image | None
    record: dict[str, Any]
    brain: sitk.Image | None = None
    maps: dict[str, sitk.Image] = field(default_factory=dict)

    @property
    def probability(self) -> sitk.Image | None:
        """Of the first class, which is the cortex in most models; None for a model that does not segment."""
        return next(iter(self.probabilities.values()), None)


def enhance(
    image: sitk.Image,
    model: Model,
    options: EnhanceOptions = EnhanceOptions(),  # noqa: B008 (frozen)
    *,
    mask: sitk.Image | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Enhancement:
    """Super-resolve a volume and segment its cortex, or the classes that the model knows.

    The measures of quality and of uncertainty are those of the first class.

    Args:
        image: 3D T2-weighted volume of any grid.
        model: see `registry.load_model`; it is moved to the chosen device.
        options: see `EnhanceOptions`.
        mask: brain mask, in the image's space; the network sees nothing outside it, and there the result is the
            interpolated volume, without any class.
        progress: called with (fraction, message).
        should_stop: asked between steps and patches.

    Returns:
        Images on the grid of `grid.output_grid`: the input's axes and field of view.

    Raises:
        ValueError: options, mask or image that cannot be used.
        Cancelled: should_stop said so.
    """
    started = time.perf_counter()
    device = choose_device(options.prediction.device)
    model.network.to(device)
    output = output_grid(Grid.of(image), options.spacing)
    report, timings = scaled(progress, 0, 1), {}
    inside = None if mask is None else _checked_mask(mask, Grid.of(image))
    with _timed(timings, "bias correction"):
        measured = _corrected(image, inside, options, report)
        domain, warnings = judge(measured, inside, output, model.card)
    stop_if(should_stop)
    with _timed(timings, "interpolation"):
        report(0.02, "Interpolating")
        ready = _prepare(measured, inside, output, model, options.interpolator)
    stop_if(should_stop)
    with _timed(timings, "prediction"):
        predicted, spread, how = _predict(ready, model, options, scaled(progress, 0.05, 0.95), should_stop)
    with _timed(timings, "composition"):
        sr, probabilities, labels, brain = ready.compose(predicted, model.classes, options.threshold)
    with _timed(timings, "consistency"):
        if options.consistency:
            sr = enforce_data_consistency(measured, sr, inside)
    with _timed(timings, "quality"):
        report(0.95, "Measuring the quality")
        first = next(iter(probabilities), None)
        measures = None if labels is None or first is None else (first, probabilities[first], labels == 1)
        quality = assess(measured, sr, measures, inside, ready.whole(spread), ready.scale)
    timings["total"] = time.perf_counter() - started
    report(0.97, "Finished the computation")
    record = describe_run(image, model, device, warnings + quality.warnings, timings)
    record |= {"options": asdict(options), "intensity_scale": ready.scale, "prediction": how}
    record |= {"classes": list(probabilities), "quality": {"domain": domain, **quality.figures}}
    return Enhancement(sr, probabilities, labels, record, brain, quality.maps)


@dataclass
class PreparedScan:
    """A scan made ready for the network, and where its predictions belong.

    output: grid of the result. interpolated: (z, y, x) float32 on it, on the network's scale. scale: from there to the
    input's units. region: the box that the network sees. counted: where in it a voxel is predicted; None for
    everywhere. given: (z, y, x) float32, what the network gets.
    """

    output: Grid
    interpolated: np.ndarray
    scale: float
    region: tuple[slice, ...]
    counted: np.ndarray | None
    given: torch.Tensor

    def compose(
        self, predicted: np.ndarray, names: tuple[str, ...], threshold: float
    ) -> tuple[sitk.Image, dict[str, sitk.Image], sitk.Image | None, sitk.Image | None]:
        """Whole images out of a prediction (C, z, y, x): intensity, probabilities by name, labels, brain mask.

        The intensity is put into the interpolated volume, which is used up by it.
        """
        classes = 1 + len(names)
        where = True if self.counted is None else self.counted
        np.copyto(self.interpolated[self.region], predicted[0], where=where)
        self.interpolated *= np.float32(self.scale)
        likely = np.zeros((len(names), *self.output.shape), np.float32)
        np.copyto(likely[(slice(None), *self.region)], predicted[1:classes], where=where)
        probabilities = {name: self.output.image(part) for name, part in zip(names, likely, strict=True)}
        labels = self.output.image(label_map(likely, threshold)) if names else None
        brain = self._brain(predicted[classes:])
        return self.output.image(self.interpolated), probabilities, labels, brain

    def _brain(self, channels: np.ndarray) -> sitk.Image | None:
        """The brain mask of a network that predicts one after its classes."""
        if not len(channels):
            return None
        mask = np.zeros(self.output.shape, np.uint8)
        mask[self.region] = brain_mask(channels)
        return self.output.image(mask)

    def whole(self, spread: PredictiveVariance | None) -> PredictiveVariance | None:
        """The spread of the region on the whole output grid, in the input's units; outside there is none."""
        if spread is None:
            return None
        deviation = np.zeros(self.output.shape, np.float32)
        deviation[self.region] = spread.deviation * np.float32(self.scale)
        if spread.entropy is None:
            return replace(spread, deviation=deviation)
        entropy = np.zeros(self.output.shape, np.float32)
        entropy[self.region] = spread.entropy
        return PredictiveVariance(deviation, entropy, spread.cortex_voxels)


def _corrected(image: sitk.Image, inside: sitk.Image | None, options: EnhanceOptions, report: Progress) -> sitk.Image:
    """The scan in float32, without its bias field where that is wanted."""
    measured = sitk.Cast(image, sitk.sitkFloat32)
    if not options.bias_correction:
        return measured
    report(0.0, "Correcting the bias field")
    return correct_bias(measured, inside)


def _prepare(
    measured: sitk.Image, inside: sitk.Image | None, output: Grid, model: Model, interpolator: str
) -> PreparedScan:
    """Interpolate a scan onto the output grid and cut out what the network sees."""
    mask = None if inside is None else _array(inside)
    scale = model.card.normalization.scale(_array(measured), mask)
    upsampled = upsample(measured, output, interpolator)
    interpolated = _array(upsampled) / np.float32(scale)
    region = _region(inside, interpolated, output)
    given = interpolated[region]
    if model.card.consistent_input:
        given = _array(enforce_data_consistency(measured, upsampled))[region] / np.float32(scale)
    counted = None if inside is None else _array(resample_labels(inside, output))[region] > 0
    # the training volumes are brains without surroundings
    given = torch.from_numpy(np.where(True if counted is None else counted, given, np.float32(0)))
    return PreparedScan(output, interpolated, scale, region, counted, given)


def _predict(
    ready: PreparedScan, model: Model, options: EnhanceOptions, progress: Progress, should_stop: ShouldStop | None
) -> tuple[np.ndarray, PredictiveVariance | None, dict[str, Any]]:
    """The prediction (C, z, y, x) of the region, its spread over several runs if wanted, and how it was made."""
    how: dict[str, Any] = {}
    runs, classes = max(1, options.uncertainty), len(model.classes)
    predict = _predictor(model, options, CanonicalAxes.of(ready.output), (progress, should_stop), how)
    first, spread = predict_augmented(predict, ready.given, runs, options.threshold, ready.counted, classes)
    return first.numpy(), spread, how


def _predictor(
    model: Model,
    options: EnhanceOptions,
    axes: CanonicalAxes,
    callbacks: tuple[Progress, ShouldStop | None],
    how: dict[str, Any],
) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """The network over a whole volume, each run with its share of the progress; the first fills the record `how`."""
    runs = max(1, options.uncertainty)
    report, should_stop = callbacks

    def predict(volume: torch.Tensor, run: int) -> torch.Tensor:
        part, record = scaled(report, run / runs, (run + 1) / runs), how if run == 0 else None
        upright = axes.canonical(volume)
        return axes.original(predict_volume(model.network, upright, options.prediction, part, should_stop, record))

    return predict


def _checked_mask(mask: sitk.Image, grid: Grid) -> sitk.Image:
    """The mask as 0 and 1 on the image's grid."""
    binary = sitk.Cast(mask != 0, sitk.sitkUInt8)
    carried = binary if Grid.of(mask).matches(grid) else resample_labels(binary, grid)
    if not np.any(sitk.GetArrayViewFromImage(carried)):
        raise ValueError("The mask has no voxel inside the volume; check that it belongs to this volume.")
    return carried


def _region(mask: sitk.Image | None, interpolated: np.ndarray, output: Grid) -> tuple[slice, ...]:
    """The box (z, y, x) of the output grid around the mask, or else around all that is not air, with a margin.

    Instance normalization sees a patch as a whole: much air around a small brain would change what it does.
    """
    content = interpolated > _AIR if mask is None else _array(resample_labels(mask, output)) > 0
    margins = [int(np.ceil(_MARGIN / s)) for s in reversed(output.spacing)]
    region = []
    for axis, (margin, length) in enumerate(zip(margins, output.shape, strict=True)):
        found = np.flatnonzero(content.any(axis=tuple(k for k in range(3) if k != axis)))
        first, last = (found[0], found[-1]) if len(found) else (0, length - 1)
        region.append(slice(max(0, int(first) - margin), min(length, int(last) + 1 + margin)))
    return tuple(region)


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


class _timed:
    """Adds the seconds spent inside the block to a dictionary."""

    def __init__(self, timings: dict[str, float], name: str) -> None:
        self._timings, self._name = timings, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: Sequence[Any]) -> None:
        self._timings[self._name] = time.perf_counter() - self._start
