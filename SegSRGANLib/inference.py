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

from .bias import correct_bias
from .brain_mask import brain_mask
from .canonical import CanonicalAxes
from .checkpoint import Model
from .classes import label_map
from .consistency import make_consistent
from .device import choose_device
from .geometry import Grid, output_grid
from .prediction import PredictionOptions, predict_volume
from .preflight import judge
from .progress import Progress, ShouldStop, scaled, stop_if
from .provenance import describe_run
from .quality import assess
from .resampling import resample_labels, upsample
from .uncertainty import MOST_RUNS, Spread, predict_repeatedly

_MARGIN = 8.0  # mm of surroundings that the network sees
_AIR = 0.1  # of the intensity scale: what is darker is air, or outside of the head


@dataclass(frozen=True)
class EnhanceOptions:
    """What a user can choose; saved with every result.

    spacing: of the output in mm, one number or (x, y, z).
    interpolator: of the first upsampling, see `resampling.INTERPOLATORS`.
    bias_correction: N4 before anything else.
    threshold: probability from which a voxel is cortex, or another class of the model.
    prediction: patches, device and precision.
    consistency: bring the intensities to agreement with the scan, see `consistency.make_consistent`.
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
    maps: where to believe the result, by name, see `quality.Quality`.
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
        model: see `weights.load_model`; it is moved to the chosen device.
        options: see `EnhanceOptions`.
        mask: brain mask, in the image's space; the network sees nothing outside it, and there the result is the
            interpolated volume, without any class.
        progress: called with (fraction, message).
        should_stop: asked between steps and patches.

    Returns:
        Images on the grid of `geometry.output_grid`: the input's axes and field of view.

    Raises:
        ValueError: options, mask or image that cannot be used.
        Cancelled: should_stop said so.
    """
    started = time.perf_counter()
    device = choose_device(options.prediction.device)
    model.network.to(device)
    grid = Grid.of(image)
    output = output_grid(grid, options.spacing)
    report = scaled(progress, 0, 1)
    measured = sitk.Cast(image, sitk.sitkFloat32)
    inside = None if mask is None else _checked_mask(mask, grid)
    timings: dict[str, float] = {}
    with _timed(timings, "bias correction"):
        if options.bias_correction:
            report(0.0, "Correcting the bias field")
            measured = correct_bias(measured, inside)
        domain, warnings = judge(measured, inside, output, model.card)
    stop_if(should_stop)
    with _timed(timings, "interpolation"):
        report(0.02, "Interpolating")
        scale = model.card.normalization.scale(_array(measured), None if inside is None else _array(inside))
        upsampled = upsample(measured, output, options.interpolator)
        interpolated = _array(upsampled) / np.float32(scale)
        region = _region(inside, interpolated, output)
        given = interpolated[region]
        if model.card.consistent_input:
            given = _array(make_consistent(measured, upsampled))[region] / np.float32(scale)
    stop_if(should_stop)
    with _timed(timings, "prediction"):
        counted = _counted(inside, output, region)
        # the training volumes are brains without surroundings
        volume = torch.from_numpy(np.where(True if counted is None else counted, given, np.float32(0)))
        how: dict[str, Any] = {}
        callbacks = (scaled(progress, 0.05, 0.95), should_stop)
        predict = _predictor(model, options, CanonicalAxes.of(output), callbacks, how)
        runs = max(1, options.uncertainty)
        names = model.classes
        first, spread = predict_repeatedly(predict, volume, runs, options.threshold, counted, len(names))
        predicted = first.numpy()
    with _timed(timings, "composition"):
        sr = _composed(predicted[0], interpolated, region, counted, output, scale)
        likely = predicted[1 : 1 + len(names)]
        probabilities, labels = _segmented(likely, names, region, counted, output, options.threshold)
        brain = _brain(predicted[1 + len(names) :], region, output)
    with _timed(timings, "consistency"):
        if options.consistency:
            sr = make_consistent(measured, sr, inside)
    with _timed(timings, "quality"):
        report(0.95, "Measuring the quality")
        spread = None if spread is None else _whole(spread, region, output, scale)
        measures = None if labels is None else (names[0], probabilities[names[0]], labels == 1)
        quality = assess(measured, sr, measures, inside, spread, scale)
    timings["total"] = time.perf_counter() - started
    report(0.97, "Finished the computation")
    run = describe_run(image, model, device, warnings + quality.warnings, timings)
    run |= {"options": asdict(options), "intensity_scale": scale, "prediction": how, "classes": list(probabilities)}
    run["quality"] = {"domain": domain, **quality.figures}
    return Enhancement(sr, probabilities, labels, run, brain, quality.maps)


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


def _counted(mask: sitk.Image | None, output: Grid, region: tuple[slice, ...]) -> np.ndarray | None:
    """Where in the region a voxel may be of a class; None for everywhere."""
    return None if mask is None else _array(resample_labels(mask, output))[region] > 0


def _whole(spread: Spread, region: tuple[slice, ...], output: Grid, scale: float) -> Spread:
    """The spread of the region on the whole output grid, in the input's units; outside there is none."""
    deviation = np.zeros(output.shape, np.float32)
    deviation[region] = spread.deviation * np.float32(scale)
    if spread.entropy is None:
        return replace(spread, deviation=deviation)
    entropy = np.zeros(output.shape, np.float32)
    entropy[region] = spread.entropy
    return Spread(deviation, entropy, spread.cortex_voxels)


def _composed(
    predicted: np.ndarray,
    interpolated: np.ndarray,
    region: tuple[slice, ...],
    counted: np.ndarray | None,
    output: Grid,
    scale: float,
) -> sitk.Image:
    """Put the predicted region into the interpolated volume, in the input's units."""
    np.copyto(interpolated[region], predicted, where=True if counted is None else counted)
    interpolated *= np.float32(scale)
    return output.image(interpolated)


def _segmented(
    predicted: np.ndarray,
    names: tuple[str, ...],
    region: tuple[slice, ...],
    counted: np.ndarray | None,
    output: Grid,
    threshold: float,
) -> tuple[dict[str, sitk.Image], sitk.Image | None]:
    """The probability (classes, z, y, x) of each class of the region, and their labels, on the output grid."""
    if not names:
        return {}, None
    whole = np.zeros((len(names), *output.shape), np.float32)
    np.copyto(whole[(slice(None), *region)], predicted, where=True if counted is None else counted)
    images = {name: output.image(probability) for name, probability in zip(names, whole, strict=True)}
    return images, output.image(label_map(whole, threshold))


def _brain(channels: np.ndarray, region: tuple[slice, ...], output: Grid) -> sitk.Image | None:
    """The brain mask of a network that predicts one after its classes, on the output grid."""
    if not len(channels):
        return None
    mask = np.zeros(output.shape, np.uint8)
    mask[region] = brain_mask(channels)
    return output.image(mask)


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
