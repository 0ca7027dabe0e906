"""A prediction becomes whole images in the scan's units: intensity, probabilities, labels, brain mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from ..data.classes import label_map, round_probabilities
from ..quality.uncertainty import PredictiveVariance
from ..transforms.components import largest_component
from .finite import check_finite
from .options import EnhanceOptions
from .prepared_scan import PreparedScan
from .run_context import RunContext


@dataclass(frozen=True)
class Composition:
    """Images on the output's grid: see `Enhancement`. probabilities: by the name of the class."""

    sr: sitk.Image
    probabilities: dict[str, sitk.Image]
    labels: sitk.Image | None
    brain: sitk.Image | None


def compose(
    prepared: PreparedScan, predicted: np.ndarray, names: tuple[str, ...], options: EnhanceOptions, run: RunContext
) -> Composition:
    """Put a prediction into the interpolated scan, which is used up by it.

    Args:
        prepared: the scan. predicted: (C, z, y, x) of its region, changed in place: intensity, a probability for each
            class, and the channels of a brain mask where the network predicts one. names: of the classes.
        options: threshold. run: clock.
    """
    output, classes = prepared.scan.output, 1 + len(names)
    with run.step("composition"):
        where = True if prepared.counted is None else prepared.counted
        intensity = prepared.interpolated
        np.copyto(intensity[prepared.region], predicted[0], where=where)
        with np.errstate(over="ignore"):  # what becomes infinite is an error below
            intensity *= np.float32(prepared.scale)
        likely = round_probabilities(predicted[1:classes])
        if prepared.counted is not None:
            likely *= prepared.counted
        # one class at a time: the whole grid of all classes at once is most of the memory of a run
        probabilities = {name: _whole(prepared, part) for name, part in zip(names, likely, strict=True)}
        labels = _whole(prepared, label_map(likely, options.threshold)) if names else None
        brain = _whole_brain(prepared, predicted[classes:])
        return Composition(output.image(intensity), probabilities, labels, brain)


def agree(prepared: PreparedScan, composed: Composition, options: EnhanceOptions, run: RunContext) -> Composition:
    """The same with its intensity in agreement with the scan, if that is wanted.

    Raises:
        DataError: the intensity is not finite.
    """
    with run.step("consistency"):
        intensity = sitk.GetArrayViewFromImage(composed.sr)
        if options.as_original:  # the original project clears what is darker than the scan's darkest voxel
            intensity = np.maximum(intensity, sitk.GetArrayViewFromImage(prepared.scan.image).min())
        if options.consistency:
            run.report(0.0, "Bringing the result to agreement with the scan")
            intensity = prepared.scan.consistency.enforce(np.array(intensity), prepared.scan.inside)
        check_finite(intensity, "The super-resolved volume", prepared.scale)
        if not options.as_original and not options.consistency:
            return composed
        return replace(composed, sr=prepared.scan.output.image(intensity))


def whole_variance(prepared: PreparedScan, variance: PredictiveVariance | None) -> PredictiveVariance | None:
    """The variance of the region on the whole output grid, in the scan's units; outside there is none."""
    if variance is None:
        return None

    def whole(part: np.ndarray) -> np.ndarray:
        volume = np.zeros(prepared.scan.output.shape, np.float32)
        volume[prepared.region] = part
        return volume

    entropy = None if variance.entropy is None else whole(variance.entropy)
    return replace(variance, deviation=whole(variance.deviation * np.float32(prepared.scale)), entropy=entropy)


def brain_mask(channels: np.ndarray) -> np.ndarray:
    """Turn a network's mask channels into labels.

    Args:
        channels: (1, z, y, x), the probability of brain, or (classes, z, y, x), a softmax.

    Returns:
        (z, y, x) uint8: the largest connected part of the brain as 1; or the most probable class.
    """
    if len(channels) > 1:
        return channels.argmax(axis=0).astype(np.uint8)
    return largest_component(channels[0] >= 0.5)


def _whole(prepared: PreparedScan, part: np.ndarray) -> sitk.Image:
    """A volume of the region as an image of the whole output grid, 0 outside."""
    volume = np.zeros(prepared.scan.output.shape, part.dtype)
    volume[prepared.region] = part
    return prepared.scan.output.image(volume)


def _whole_brain(prepared: PreparedScan, channels: np.ndarray) -> sitk.Image | None:
    """The brain mask of a network that predicts one after its classes, as some of the original project's do."""
    if not len(channels):
        return None
    return _whole(prepared, brain_mask(channels))
