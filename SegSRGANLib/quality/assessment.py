"""Whether to believe a result: the measures that go into every record, and the warnings that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid, place_in_words
from .consistency import Consistency
from .limits import LEAST_AGREEMENT, LEAST_LARGEST_PIECE, LOCAL_LIMIT, SLICE_LIMIT, WIDEST_INTERVAL
from .morphometry import describe_segmentation
from .uncertainty import PredictiveVariance, describe_variance

MAP_NAMES = ("consistency", "sr-deviation", "cortex-entropy")  # all that there may be, see `Quality`


@dataclass(frozen=True)
class Quality:
    """Figures (JSON values) for the record, sentences for the user, and maps by name.

    maps: "consistency", on the scan's slices; with several runs also "sr-deviation" (the scan's units) and
        "cortex-entropy" (bits), on the result's grid.
    """

    figures: dict[str, Any]
    warnings: list[str]
    maps: dict[str, sitk.Image]


def assess(
    consistency: Consistency,
    sr: sitk.Image,
    segmentation: tuple[str, sitk.Image, sitk.Image] | None,
    variance: PredictiveVariance | None = None,
    scale: float = 1.0,
) -> Quality:
    """Measure a result without its truth. Of several classes, only the first is measured, as the figures of "cortex".

    Args:
        consistency: of the result with its scan, see `acquisition_consistency`. sr: the result.
        segmentation: name, probability and binary labels of the first class, on the result's grid; None for a model
            that does not segment.
        variance: of several runs, on the result's grid.
        scale: intensity that the networks see as 1.
    """
    name, probability, labels = segmentation or ("cortex", None, None)
    figures: dict[str, Any] = {"consistency": consistency.figures()}
    maps = {"consistency": consistency.z_map}
    if labels is not None:
        figures["cortex"] = describe_segmentation(labels, probability)
    if variance is not None:
        grid = Grid.of(sr)
        cortex = np.zeros(grid.shape, np.uint8) if labels is None else sitk.GetArrayFromImage(labels)
        figures["uncertainty"] = describe_variance(variance, cortex, float(np.prod(grid.spacing)) / 1000, scale)
        maps["sr-deviation"] = grid.image(variance.deviation)
        if variance.entropy is not None:
            maps["cortex-entropy"] = grid.image(variance.entropy)
    return Quality(figures, quality_warnings(figures, name), maps)


def quality_warnings(figures: dict[str, Any], name: str = "cortex") -> list[str]:
    """Sentences about figures beyond their limits; see `Quality.figures`. name: of the class that was measured."""
    found = _consistency_warnings(figures["consistency"])
    cortex = figures.get("cortex")
    if cortex is not None and cortex["largest_component"] is None:
        found.append(f"No {name} was found.")
    elif cortex is not None and cortex["largest_component"] < LEAST_LARGEST_PIECE:
        found.append(
            f"The {name} is in {cortex['components']} pieces, the largest with only "
            f"{cortex['largest_component']:.0%} of its volume."
        )
    variance = figures.get("uncertainty")
    if variance is not None and variance["volume_ml"]:
        low, high = variance["volume_interval_ml"]
        if high - low > WIDEST_INTERVAL * variance["volume_ml"]:
            found.append(
                f"The volume of the {name} depends on how the scan is turned: from {low:.1f} to {high:.1f} mL."
            )
    return found


def _consistency_warnings(figures: dict[str, Any]) -> list[str]:
    found = []
    if figures["psnr"] is not None and figures["psnr"] < LEAST_AGREEMENT:
        found.append(
            f"The result does not agree with the scan ({figures['psnr']:.1f} dB): check the voxel spacing of the scan."
        )
    if figures["z_max"] > LOCAL_LIMIT:
        place = place_in_words(figures["z_max_position_lps"])
        found.append(
            f"Around {place} of the origin the result differs from the scan {figures['z_max']:.0f} times as much as "
            "elsewhere: look there for anatomy that was invented or erased."
            + ("" if figures["region"] == "mask" else " Without a brain mask this may be outside the brain.")
        )
    if figures["slice_z_max"] > SLICE_LIMIT:
        found.append(f"The result differs from the scan in slice {figures['slice'] + 1} as a whole: look at it.")
    return found
