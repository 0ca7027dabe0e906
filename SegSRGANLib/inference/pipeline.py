"""The main job: one volume in, its super-resolution and its cortex out (`enhance`).

Four stages over one prepared scan: `prepare` (bias correction, intensity scale, spline interpolation onto the output
grid), `_predict` (the network on overlapping patches), `compose` (back to whole images in the input's units, in
agreement with the scan) and `_measure` (quality). Panel, console, shell and cluster all call `enhance`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.reorient import CanonicalAxes
from ..models.checkpoint import Model
from ..quality.assessment import Quality, assess
from ..quality.consistency import acquisition_consistency
from ..quality.domain import brain_region
from ..quality.slice_motion import slice_jumps
from ..quality.uncertainty import PredictiveVariance
from ..quality.verdict import give_verdict
from ..utils.devices import choose_device
from ..utils.progress import Progress, ShouldStop, scaled
from .augmented_prediction import predict_augmented
from .brain_choice import choose_brain
from .enhancement import Enhancement
from .finite import check_finite, check_intensities, finite_figures
from .options import EnhanceOptions
from .postprocessing import Composition, compose, whole_variance
from .predictor import predict_volume
from .prepared_scan import PreparedScan, prepare
from .record import describe_run
from .run_context import RunContext


def enhance(
    image: sitk.Image,
    model: Model,
    options: EnhanceOptions = EnhanceOptions(),  # noqa: B008 (frozen)
    *,
    mask: sitk.Image | str | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Enhancement:
    """Super-resolve a volume and segment its cortex, or the classes that the model knows.

    The measures of quality and of uncertainty are those of the first class.

    Args:
        image: 3D T2-weighted volume of any grid.
        model: see `load_model`; it is moved to the chosen device.
        options: see `EnhanceOptions`.
        mask: brain mask, in the image's space; or "auto" to find the brain, see `extract_brain`; or "none" (or None)
            for a volume that is a brain already. The network sees nothing outside the brain, and there the result is
            the interpolated volume, without any class.
        progress: called with (fraction, message).
        should_stop: asked between steps and patches.

    Returns:
        Images on the grid of `grid.output_grid`: the input's axes and field of view.

    Raises:
        ValueError: options, mask or image that cannot be used, or no brain was found. DataError: a result that is not
            finite.
        Cancelled: should_stop said so.
    """
    check_intensities(sitk.GetArrayViewFromImage(image))
    run = RunContext(scaled(progress, 0, 1), should_stop)
    device = choose_device(options.prediction.device)
    model.network.to(device)
    given, options = options, options.for_model(model.card)
    brain = choose_brain(image, mask, options, run)
    prepared = prepare(image, brain.mask, model.card, options, run)
    predicted, variance, how = _predict(prepared, model, options, run)
    composed = compose(prepared, predicted, model.classes, options, run)
    quality = _measure(prepared, composed, variance, run)
    run.finish()
    run.report(0.97, "Finished the computation")
    record = describe_run(image, model, device, brain.warnings + prepared.scan.warnings + quality.warnings, run.seconds)
    record |= {"options": asdict(given), "intensity_scale": prepared.scale, "prediction": how, "mask": brain.record}
    record["as_original"] = options.as_original
    record |= {"classes": list(composed.probabilities), "quality": {"domain": prepared.scan.domain, **quality.figures}}
    record["thickness_ratio"] = round(max(image.GetSpacing()) / min(prepared.scan.output.spacing), 4)
    record["quality"]["slice_motion"] = _slice_motion(prepared)
    record["verdict"] = give_verdict(record, model.card.reliability)
    predicted_brain = composed.brain if brain.found is None else None
    images = composed.sr, composed.probabilities, composed.labels
    return Enhancement(*images, finite_figures(record), predicted_brain, quality.maps, brain.found)


def _predict(
    prepared: PreparedScan, model: Model, options: EnhanceOptions, run: RunContext
) -> tuple[np.ndarray, PredictiveVariance | None, dict[str, Any]]:
    """The prediction (C, z, y, x) of the region, its variance over several runs if wanted, and how it was made."""
    runs, how = max(1, options.uncertainty), {}
    axes = CanonicalAxes((0, 1, 2), ()) if options.as_original else CanonicalAxes.of(prepared.scan.output)

    def predict(volume: torch.Tensor, number: int) -> torch.Tensor:
        part = scaled(scaled(run.report, 0.05, 0.95), number / runs, (number + 1) / runs)
        record = how if number == 0 else None
        upright = axes.canonical(volume)
        return axes.original(predict_volume(model.network, upright, options.prediction, part, run.should_stop, record))

    with run.step("prediction"):
        first, variance = predict_augmented(
            predict, prepared.given, runs, options.threshold, prepared.counted, len(model.classes)
        )
    predicted = first.numpy()
    check_finite(predicted, "The model's prediction", prepared.scale)
    if variance is not None:
        check_finite(variance.deviation, "The spread of the model's predictions", prepared.scale)
    return predicted, variance, how


def _slice_motion(prepared: PreparedScan) -> dict[str, Any] | None:
    """Irregular slices of the scan inside the brain, see `slice_jumps`; None where the brain cannot be told."""
    scan = prepared.scan
    values = sitk.GetArrayViewFromImage(scan.image)
    inside = brain_region(values, None if scan.mask is None else sitk.GetArrayViewFromImage(scan.mask))
    if inside is None:
        return None
    return slice_jumps(values, inside, 2 - int(np.argmax(scan.image.GetSpacing())))


def _measure(
    prepared: PreparedScan, composed: Composition, variance: PredictiveVariance | None, run: RunContext
) -> Quality:
    """Agreement with the scan, and figures of the first class."""
    with run.step("quality"):
        run.report(0.95, "Measuring the quality")
        first = None
        if composed.labels is not None:
            name, probability = next(iter(composed.probabilities.items()))
            first = name, probability, composed.labels == 1
        scan = prepared.scan
        consistency = acquisition_consistency(scan.image, composed.sr, scan.mask, scan.forward)
        return assess(consistency, composed.sr, first, whole_variance(prepared, variance), prepared.scale)
