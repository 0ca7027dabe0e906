"""How well one volume agrees with each of the stacks that it was made from, as figures, maps and sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid, output_grid
from ...quality.assessment import Quality, assess, quality_warnings
from ...quality.consistency import Consistency, acquisition_consistency, intensity_range
from ...stacks.alignment import AlignedStack, resampled
from ...stacks.scan import Scan
from ...stacks.slice_weights import slice_axis
from ..enhancement import Enhancement

_CLOSE = 38.0  # dB
_SURROUNDINGS = 4.0  # mm around the brain, for the slices' profiles


def measure_stacks(
    stacks: list[AlignedStack],
    sr: sitk.Image,
    whole: Enhancement,
    alone: sitk.Image,
    mask: sitk.Image | None,
) -> tuple[Quality, list[dict[str, Any]]]:
    """Measure a fused volume without its truth.

    Args:
        stacks: registered. sr: the fused volume. whole: its segmentation, with the variance of it.
        alone: what the network made of the first stack alone. mask: of the brain in the first stack, or None.

    Returns:
        The quality, of which the first stack has the figures "consistency"; and an entry of each stack for the record.
    """
    agreements = [_agreement(stack, sr, stacks[0]) for stack in stacks]
    first = acquisition_consistency(stacks[0].scan.image, sr, mask)
    segmentation = None
    if whole.labels is not None:
        name, probability = next(iter(whole.probabilities.items()))
        segmentation = name, probability, whole.labels == 1
    quality = assess(first, sr, segmentation)
    figures, maps = quality.figures, dict(quality.maps)
    warnings = quality_warnings(figures | {"consistency": worth_saying(first.figures())}, *(segmentation or ())[:1])
    # the variance of the segmentation's runs
    figures |= {name: value for name, value in whole.record["quality"].items() if name == "uncertainty"}
    maps |= {name: image for name, image in whole.maps.items() if name != "consistency"}
    entries = []
    for number, (stack, agreement) in enumerate(zip(stacks, agreements, strict=True), start=1):
        before = _agreement(stack, alone, stacks[0]).psnr
        figures_of_first = {"psnr_of_first_alone": None if before is None else round(before, 3)}
        entries.append(
            {"name": stack.scan.name} | stack.figures() | {"consistency": agreement.figures() | figures_of_first}
        )
        warnings += _left_out(stack)
        if number > 1:
            maps[f"consistency-{number}"] = agreement.z_map
            found = quality_warnings({"consistency": worth_saying(agreement.figures())})
            warnings += [of_stack(stack.scan, sentence) for sentence in found]
    return Quality(figures, warnings, maps), entries


def map_names(stacks: int) -> list[str]:
    """Names of the maps that only several stacks have."""
    return [f"consistency-{number}" for number in range(2, stacks + 1)]


def of_stack(scan: Scan, sentence: str) -> str:
    """A sentence about one of several stacks."""
    return f"{scan.name[0].upper()}{scan.name[1:]}: {sentence}"


def irregular_slices(stacks: list[AlignedStack], motions: list[dict[str, Any] | None]) -> list[str]:
    """A sentence for each stack whose slices lie beside their neighbours, which names them.

    Args:
        motions: of each stack alone, see `slice_motion.slice_motion`.
    """
    sentences = []
    for stack, motion in zip(stacks, motions, strict=True):
        if motion is None or set(motion["slices"]) <= set(stack.left_out):  # these are named
            continue
        listed = ", ".join(str(index + 1) for index in motion["slices"])
        slices = f"slice {listed} does" if len(motion["slices"]) == 1 else f"slices {listed} do"
        text = f"{slices} not fit the neighbouring slices: the child may have moved, which is not corrected."
        sentences.append(of_stack(stack.scan, text))
    return sentences


def _agreement(stack: AlignedStack, volume: sitk.Image, reference: AlignedStack) -> Consistency:
    """Of a volume in the reference's space with a stack, where the reference's brain lies in it.

    Of another stack than the reference only the surroundings of that brain are looked at, and are in the map.
    """
    mask = stack.carried(reference.scan.mask)
    if stack is reference:
        return acquisition_consistency(stack.scan.image, volume, mask)
    whole = stack.scan.image
    near = Scan(whole, mask, stack.scan.name).cropped(_SURROUNDINGS)
    # the axes of the stack, and the spacing of the volume
    grid = Grid.of(near.image)
    own = output_grid(grid, [min(s, e) for s, e in zip(_fine(volume), grid.extent, strict=True)])
    moved = own.image(resampled(volume, own, np.linalg.inv(stack.matrix), sitk.sitkBSpline))
    scale = intensity_range(sitk.GetArrayViewFromImage(whole))
    found = acquisition_consistency(near.image, moved, near.mask, scale=scale)
    first = whole.TransformPhysicalPointToIndex(near.image.GetOrigin())[slice_axis(grid)]
    return replace(found, slice=found.slice + first)


def worth_saying(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures of agreement that sentences are made of; where all agrees closely, the largest difference is nothing."""
    return figures | ({"z_max": 0.0, "slice_z_max": 0.0} if (figures["psnr"] or np.inf) > _CLOSE else {})


def _fine(volume: sitk.Image) -> tuple[float, ...]:
    return (min(volume.GetSpacing()),) * 3


def _left_out(stack: AlignedStack) -> list[str]:
    if not stack.left_out:
        return []
    listed = ", ".join(str(index + 1) for index in stack.left_out)
    slices = f"slice {listed} does" if len(stack.left_out) == 1 else f"slices {listed} do"
    text = f"{slices} not agree with the other stacks and hardly counted: the child may have moved."
    return [of_stack(stack.scan, text)]
