"""The main job: one volume in, its super-resolution and its cortex out (`enhance`).

Five stages over one prepared scan: `prepare` (bias correction, intensity scale, spline interpolation onto the output
grid), `_predict` (the network on overlapping patches), `compose` and `agree` (back to whole images in the input's
units, in agreement with the scan), `refine` (borders of the tissues by the intensities) and `_measure` (quality).
Panel, console, shell and cluster all call `enhance`. Several stacks of one child go through `several.pipeline`, which
calls `enhance` for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..data.reorient import CanonicalAxes
from ..models.checkpoint import Model
from ..quality.assessment import Quality, assess
from ..quality.consistency import acquisition_consistency
from ..quality.domain import brain_region
from ..quality.slice_motion import slice_motion
from ..quality.uncertainty import PredictiveVariance
from ..quality.verdict import give_verdict
from ..utils.devices import choose_device
from ..utils.memory import kept_heap
from ..utils.progress import Progress, ShouldStop, scaled
from ..utils.triples import triple
from .augmented_prediction import predict_augmented
from .brain.choice import BrainChoice, BrainMask, choose_brain
from .enhancement import Enhancement
from .estimate import check_fits, estimate, prediction_seconds, remember_prediction
from .finite import check_finite, check_intensities, finite_figures
from .options import EnhanceOptions
from .postprocessing import Composition, agree, compose, whole_variance
from .predictor import predict_volume
from .prepared_scan import PreparedScan, prepare
from .record import describe_run
from .refinement import as_refined, refine
from .run_context import RunContext
from .several.estimate import check_stacks_fit
from .several.pipeline import StackedScans, enhance_stacks


def enhance(
    image: sitk.Image | Sequence[sitk.Image],
    model: Model,
    options: EnhanceOptions = EnhanceOptions(),  # noqa: B008 (frozen)
    *,
    mask: BrainMask | Sequence[BrainMask] = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Enhancement:
    """Super-resolve a volume and segment its cortex, or the classes that the model knows.

    The measures of quality and of uncertainty are those of the first class.

    Args:
        image: 3D T2-weighted volume of any grid; or several stacks of one child, which are registered and fused, see
            `several.pipeline.enhance_stacks`.
        model: see `load_model`; it is moved to the chosen device.
        options: see `EnhanceOptions`.
        mask: brain mask, in the image's space; or "auto" to find the brain, see `extract_brain`; or "none" (or None)
            for a volume that is a brain already. The network sees nothing outside the brain, and there the result is
            the interpolated volume, without any class. Of several stacks that of the first one, or one for each.
        progress: called with (fraction, message).
        should_stop: asked between steps and patches.

    Returns:
        Images on the grid of `grid.output_grid`: the axes and field of view of the input, or of the first stack.

    Raises:
        ValueError: options, mask or image that cannot be used, no brain was found, or stacks that do not fit together.
        DataError: a voxel beyond all measures, or a result that is not finite.
        MemoryError: the result is larger than the memory that is free.
        Cancelled: should_stop said so.
    """
    images = [image] if isinstance(image, sitk.Image) else list(image)
    masks: list[BrainMask] = list(mask) if isinstance(mask, (list, tuple)) else [mask]  # ty: ignore[invalid-assignment]
    if not images or (len(images) == 1 and len(masks) != 1):
        raise ValueError(f"One volume has one mask; there are {len(images)} volumes and {len(masks)} masks.")
    output, grids = options.output(Grid.of(images[0]), model.card), [Grid.of(scan) for scan in images]
    check_fits(output, len(model.classes))  # before anything is done
    check_stacks_fit(grids, output)
    for scan in images:
        check_intensities(sitk.GetArrayViewFromImage(scan))
    model.network.to(choose_device(options.prediction.device))
    run = RunContext(progress, should_stop)
    if len(images) > 1:
        stacked = StackedScans.of(images, masks, options, run)
        return enhance_stacks(stacked, model, options, run, _enhance_one)
    if progress is not None:  # without a bar nobody needs to know how long the steps take
        run.expected = estimate(Grid.of(images[0]), model, masks[0], options).seconds
    return _enhance_one(images[0], model, options, choose_brain(images[0], masks[0], options, run), run)


@kept_heap()  # what the network frees serves the steps after it
def _enhance_one(
    image: sitk.Image, model: Model, options: EnhanceOptions, brain: BrainChoice, run: RunContext
) -> Enhancement:
    """One scan, whose brain is known."""
    device = choose_device(options.prediction.device)
    model.network.to(device)
    given, options = options, options.for_model(model.card)
    prepared = prepare(image, brain.mask, model.card, options, run)
    predicted, variance, how = _predict(prepared, model, options, run)
    composed = compose(prepared, predicted, model.classes, options, run)
    del predicted  # the largest of all arrays
    composed = agree(prepared, composed, options, run)
    labels = composed.labels
    composed, refinement = refine(prepared, composed, options, run)
    quality = _measure(prepared, composed, as_refined(variance, labels, composed.labels), run)
    run.finish()
    run.report(1.0, "Finished the computation")
    record = describe_run(image, model, device, brain.warnings + prepared.scan.warnings + quality.warnings, run.seconds)
    record |= {"options": asdict(given), "intensity_scale": prepared.scale, "prediction": how, "mask": brain.record}
    record |= {"output": {"size": prepared.scan.output.size, "spacing": prepared.scan.output.spacing}}
    record |= {"as_original": options.as_original, "refinement": refinement}
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
        part = scaled(run.report, number / runs, (number + 1) / runs)
        record = how if number == 0 else None
        upright = axes.canonical(volume)
        return axes.original(predict_volume(model.network, upright, options.prediction, part, run.should_stop, record))

    if run.expected:
        run.expected["prediction"] = prediction_seconds(model.network, triple(prepared.given.shape), options)
    with run.step("prediction"):
        first, variance = predict_augmented(
            predict, prepared.given, runs, options.threshold, prepared.counted, len(model.classes)
        )
    shape, skipped = triple(prepared.given.shape), how.get("skipped", 0) / max(1, how.get("patches", 1))
    remember_prediction(model.network, shape, options, run.seconds["prediction"], skipped)
    predicted = first.numpy()
    check_finite(predicted, "The model's prediction", prepared.scale)
    if variance is not None:
        check_finite(variance.deviation, "The spread of the model's predictions", prepared.scale)
    return predicted, variance, how


def _slice_motion(prepared: PreparedScan) -> dict[str, Any] | None:
    """Signs of motion between the slices inside the brain, see `slice_motion`; None where the brain cannot be told."""
    scan = prepared.scan
    values = sitk.GetArrayViewFromImage(scan.image)
    inside = brain_region(values, None if scan.mask is None else sitk.GetArrayViewFromImage(scan.mask))
    if inside is None:
        return None
    spacing = scan.image.GetSpacing()[::-1]
    return slice_motion(values, inside, int(np.argmax(spacing)), spacing)


def _measure(
    prepared: PreparedScan, composed: Composition, variance: PredictiveVariance | None, run: RunContext
) -> Quality:
    """Agreement with the scan, and figures of the first class."""
    with run.step("quality"):
        run.report(0.0, "Measuring the quality")
        first = None
        if composed.labels is not None:
            name, probability = next(iter(composed.probabilities.items()))
            first = name, probability, composed.labels == 1
        scan = prepared.scan
        consistency = acquisition_consistency(scan.image, composed.sr, scan.mask, scan.forward)
        return assess(consistency, composed.sr, first, whole_variance(prepared, variance), prepared.scale)
