"""Several stacks of one child in, one super-resolved volume and its classes out.

Stages: registration to the first stack, one intensity scale, weights of slices (`stacks.alignment`) - the network on
each stack - one volume in agreement with all (`stack_fusion`) - the network's segmentation of that volume - quality
measures for each stack (`stack_quality`). The result has the axes, the field of view and the intensities of the first
stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid, output_grid
from ...models.checkpoint import Model
from ...quality.assessment import Quality
from ...quality.preflight import judge
from ...quality.verdict import give_verdict
from ...stacks.alignment import AlignedStack, align
from ...stacks.scan import Scan
from ...transforms.bias_field import correct_bias
from ...utils.devices import choose_device
from ...utils.progress import Progress, scaled
from ..brain.choice import BrainChoice, BrainMask, choose_brain
from ..enhancement import Enhancement
from ..finite import check_finite, finite_figures
from ..network_parts import intensity_model, segmentation_model
from ..options import EnhanceOptions
from ..record import describe_run, image_hash
from ..run_context import RunContext
from .estimate import estimate_stacks
from .fusion import fused_volume
from .quality import irregular_slices, measure_stacks, of_stack, worth_saying

MOST_STACKS = 16

Single = Callable[[sitk.Image, Model, EnhanceOptions, BrainChoice, RunContext], Enhancement]  # enhances one scan


@dataclass(frozen=True)
class StackedScans:
    """The stacks of one child, checked.

    images: as given. scans: float32, with the brain, or the foreground where no brain is known. brains: of each stack;
    None for a stack whose brain is that of the first one.
    """

    images: list[sitk.Image]
    scans: list[Scan]
    brains: list[BrainChoice | None]

    @classmethod
    def of(
        cls, images: Sequence[sitk.Image], masks: Sequence[BrainMask], options: EnhanceOptions, run: RunContext
    ) -> StackedScans:
        """Check stacks and masks, and find the brains that are to be found.

        Args:
            images: two or more. masks: one for each stack, or one: an image in the space of the first stack, which
                serves all, or the word that holds for all. options: bias correction and device. run: cancellation.

        Raises:
            ValueError: too many stacks, another number of masks, or a stack or mask that cannot be used.
        """
        count = len(images)
        if count > MOST_STACKS:
            raise ValueError(f"At most {MOST_STACKS} stacks are combined into one volume, not {count}.")
        if len(masks) not in (1, count):
            raise ValueError(f"There are {count} stacks but {len(masks)} masks; give one mask, or one for each stack.")
        follow = len(masks) == 1 and isinstance(masks[0], sitk.Image)
        scans, brains = [], []
        for index, image in enumerate(images):
            Scan.of(image, None, f"stack {index + 1}")  # says what is wrong with it before its brain is looked for
            mask = masks[min(index, len(masks) - 1)]
            brain = None if follow and index > 0 else choose_brain(image, mask, options, run)
            known = None if brain is None else brain.mask or brain.found
            scan = Scan.of(image, known, f"stack {index + 1}")
            if options.bias_correction:
                scan = replace(scan, image=correct_bias(scan.image, scan.mask))
            scans.append(scan)
            brains.append(brain)
        return cls(list(images), scans, brains)

    @property
    def masks(self) -> list[BrainMask]:
        """The brain of each stack as an image, or that of the first one where it serves all; None if not known."""
        known = [self.brains[0] if brain is None else brain for brain in self.brains]
        return [None if brain is None else brain.mask for brain in known]

    def carried_brains(self, stacks: list[AlignedStack]) -> list[BrainChoice]:
        """The brain of each stack, carried over from the first one where it is not known."""
        first = self.brains[0]
        shared = None if first is None else first.mask
        return [
            BrainChoice(None if shared is None else stack.carried(shared), None, {"source": "first stack"})
            if brain is None
            else brain
            for stack, brain in zip(stacks, self.brains, strict=True)
        ]


def enhance_stacks(
    stacked: StackedScans, model: Model, options: EnhanceOptions, run: RunContext, single: Single
) -> Enhancement:
    """Fuse several stacks of one child into one super-resolved volume, and segment it.

    Args:
        stacked: the first stack decides the grid and the intensities of the result.
        model, options: as in `pipeline.enhance`. run: progress, cancellation and timings.
        single: what enhances one scan.

    Returns:
        Images on the grid of `grid.output_grid` of the first stack. The record's "stacks" says of each how it was
        registered, which slices were left out and how well the result agrees with it; the map "consistency" is that
        of the first stack, "consistency-2" that of the second ...

    Raises:
        ValueError: options that cannot be used, or stacks that do not fit together.
        DataError: a result that is not finite.
        Cancelled: the run was stopped.
    """
    output = options.output(Grid.of(stacked.scans[0].image), model.card)
    if run.progress is not None:  # without a bar nobody needs to know how long the steps take
        run.expected = estimate_stacks([Grid.of(i) for i in stacked.images], model, stacked.masks, options).seconds
    with run.step("registration"):
        stacks = align(stacked.scans, run.report, run.should_stop)
        brains = stacked.carried_brains(stacks)
    once = replace(options.for_model(model.card), spacing=output.spacing, bias_correction=False)  # that was done
    with run.step("prediction"):
        singles = _super_resolved(stacks, brains, (model, replace(once, uncertainty=0)), run, single)
    with run.step("fusion"):
        sr = fused_volume(stacks, singles, output, once.consistency, (choose_device(once.prediction.device), run))
        check_finite(sitk.GetArrayViewFromImage(sr), "The fused volume", singles[0].record["intensity_scale"])
    alone, motions = singles[0].sr, [single.record["quality"]["slice_motion"] for single in singles]
    del singles  # the results of the other stacks are most of the memory
    with run.step("segmentation"):
        part = RunContext(run.report, run.should_stop, {"prediction": 1.0})
        whole = single(sr, segmentation_model(model), replace(once, consistency=False), brains[0], part)
    with run.step("quality"):
        run.report(0.0, "Measuring the quality")
        quality, entries = measure_stacks(stacks, sr, whole, alone, brains[0].mask)
        quality.warnings.extend(irregular_slices(stacks, motions))
    run.finish()
    run.report(1.0, "Finished the computation")
    record = _described(stacked, model, once, quality, run)
    record |= {"options": asdict(options), "output": {"size": output.size, "spacing": output.spacing}}
    record |= _kept(whole, brains) | {"stacks": _identified(entries, stacked.images, brains, motions)}
    record["quality"]["slice_motion"] = _worst(motions)
    record["verdict"] = give_verdict(_judged(record), model.card.reliability)
    figures = finite_figures(record)
    return Enhancement(sr, whole.probabilities, whole.labels, figures, whole.brain, quality.maps, brains[0].found)


def _identified(
    entries: list[dict[str, Any]], images: list[sitk.Image], brains: list[BrainChoice], motions: list[Any]
) -> list[dict[str, Any]]:
    """The entries of the stacks with what tells which images they were, and which of their slices moved."""
    return [
        entry
        | {"grid": asdict(Grid.of(image)), "sha256": image_hash(image), "mask": brain.record, "slice_motion": motion}
        for entry, image, brain, motion in zip(entries, images, brains, motions, strict=True)
    ]


def _kept(whole: Enhancement, brains: list[BrainChoice]) -> dict[str, Any]:
    """What the record of the fused volume takes from its segmentation, and the mask of the first stack."""
    keys = ("intensity_scale", "prediction", "classes", "as_original", "refinement")
    return {key: whole.record[key] for key in keys} | {"mask": brains[0].record}


def _described(
    stacked: StackedScans, model: Model, options: EnhanceOptions, quality: Quality, run: RunContext
) -> dict[str, Any]:
    """What the record says of the run as a whole."""
    domain, warnings = _before(stacked, model, options)
    sentences = list(dict.fromkeys(warnings + quality.warnings))
    device = choose_device(options.prediction.device)
    record = describe_run(stacked.images[0], model, device, sentences, run.seconds)
    record |= {"quality": {"domain": domain, **quality.figures}}
    fine = np.min(options.spacing)
    return record | {"thickness_ratio": round(max(scan.thickness for scan in stacked.scans) / float(fine), 4)}


def _finest(options: EnhanceOptions) -> float:
    """The smallest voxel side of a result whose spacing is settled, mm."""
    spacing = options.spacing
    return float(min(spacing)) if isinstance(spacing, tuple) else float(spacing)


def _before(stacked: StackedScans, model: Model, options: EnhanceOptions) -> tuple[dict[str, Any], list[str]]:
    """What can be said of the stacks before the run; the figures are those of the first one."""
    figures, warnings = {}, []
    for scan, brain in zip(stacked.scans, stacked.brains, strict=True):
        output = output_grid(Grid.of(scan.image), _finest(options))
        items, found = judge(scan.image, None if brain is None else brain.mask, output, model.card)
        figures = figures or items
        found = ([] if brain is None else brain.warnings) + found
        warnings += [of_stack(scan, sentence) for sentence in found]
    return figures, warnings


def _worst(motions: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The irregular slices of the stack that has most; None where those of one stack could not be measured."""
    measured = [motion for motion in motions if motion is not None]
    if len(measured) < len(motions):
        return None
    return max(measured, key=lambda motion: (motion["share"], motion["exchange"] is not None))


def _judged(record: dict[str, Any]) -> dict[str, Any]:
    """The record as the verdict sees it: with the agreement of the stack that agrees least."""
    worst = min((entry["consistency"] for entry in record["stacks"]), key=lambda figures: figures["psnr"] or np.inf)
    return record | {"quality": record["quality"] | {"consistency": worth_saying(worst)}}


def _super_resolved(
    stacks: list[AlignedStack],
    brains: list[BrainChoice],
    network: tuple[Model, EnhanceOptions],
    run: RunContext,
    single: Single,
) -> list[Enhancement]:
    """What the network makes of each stack alone, on the stack's own axes."""
    model, options = intensity_model(network[0]), network[1]
    results = []
    for index, (stack, brain) in enumerate(zip(stacks, brains, strict=True)):
        part = _named(scaled(run.report, index / len(stacks), (index + 1) / len(stacks)), stack.scan.name)
        own = options if index == 0 else replace(options, spacing=_finest(options))  # its axes are others
        context = RunContext(part, run.should_stop, {"prediction": 1.0})
        results.append(single(stack.scan.image, model, own, brain, context))
    return results


def _named(report: Progress, name: str) -> Progress:
    """Progress that says which stack it is about."""
    return lambda fraction, message: report(fraction, f"{name[0].upper()}{name[1:]}: {message}")
