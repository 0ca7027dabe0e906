"""What several stacks of one child give, against each alone and the mean of their registered interpolations.

    export SEGSRGAN_DATA=/folder/of/gousias2012/and/fidon2021
    python benchmarks/stacks.py OUTDIR [--cases ALBERT01-f3-n0 ...] [--model segsrgan]

A case is a volume whose stacks are simulated along three axes, the second and third after a rigid motion: SUBJECT,
-f factor of the slices, -n noise in % of the 99.5th percentile, -m for a first stack with 10 % of moved slices. The
first two stacks have their slices along the second and the first axis. Each case is a JSON file in OUTDIR; what it
holds is not computed again, so a run that was stopped goes on. Prints the tables of docs/stacks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.network_parts import segmentation_model
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.metrics.image import psnr, ssim
from SegSRGANLib.metrics.segmentation import dice
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.stacks.alignment import resampled
from SegSRGANLib.stacks.rigid import moved_points, points_inside
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.components import bounding_box
from SegSRGANLib.transforms.resample import onto

AXES = (1, 0, 2)
CORTEX = 5  # its label
MOTIONS = ((0.0, 0.0), (10.0, 15.0), (7.0, 9.0))  # mm and degrees of each stack
SCALES = (1.0, 1.3, 0.8)  # of the intensities
DEFAULT = ("ALBERT01-f3-n0", "ALBERT08-f3-n2", "ALBERT16-f3-n4", "ALBERT16-f3-n2-m", "ALBERT01-f6-n2", "SBA30op-f3-n2")
FOLDERS = {"ALBERT": "gousias2012", "SBA": "fidon2021"}


@dataclass(frozen=True)
class Truth:
    """A volume with its brain mask and labels, cut to the brain."""

    image: sitk.Image
    mask: sitk.Image
    labels: sitk.Image

    @classmethod
    def read(cls, subject: str) -> Truth:
        """The volume of a subject, from the folder in SEGSRGAN_DATA."""
        folder = next(folder for start, folder in FOLDERS.items() if subject.startswith(start))
        base = f"{os.environ['SEGSRGAN_DATA']}/{folder}/sub-{subject}/anat/sub-{subject}_"
        image = sitk.ReadImage(f"{base}T2w.nii.gz", sitk.sitkFloat32)
        mask = sitk.Cast(sitk.ReadImage(f"{base}desc-brain_mask.nii.gz") > 0, sitk.sitkUInt8)
        box = bounding_box(sitk.GetArrayViewFromImage(mask) > 0, 12)
        parts = tuple(slice(int(p.start), int(p.stop)) for p in reversed(box))
        return cls(image[parts], mask[parts], sitk.ReadImage(f"{base}dseg.nii.gz")[parts])

    def scores(self, image: sitk.Image, labels: sitk.Image | None = None) -> dict[str, float]:
        """PSNR and SSIM inside the brain, and the Dice of the cortex."""
        inside = sitk.GetArrayFromImage(self.mask) > 0
        truth, estimate = (sitk.GetArrayFromImage(i) for i in (self.image, onto(image, self.image)))
        top = truth.max()
        found = {
            "psnr": psnr(truth / top, estimate / top, inside),
            "ssim": ssim(truth / top, estimate / top, inside),
        }
        if labels is not None:
            cortex = sitk.GetArrayFromImage(self.labels) == CORTEX
            found["dice"] = dice(cortex, sitk.GetArrayFromImage(onto(labels, self.image)) == 1)
        return found


def motion(truth: Truth, mm: float, degrees: float, seed: int) -> sitk.Euler3DTransform:
    """A rigid motion of this size about the middle of the brain, in a random direction."""
    rng = np.random.default_rng(seed)
    shift, axis = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 3)))
    versor = sitk.VersorRigid3DTransform()
    versor.SetRotation(axis.tolist(), np.radians(degrees))
    transform = sitk.Euler3DTransform()
    transform.SetCenter(points_inside(truth.mask).mean(axis=0).tolist())
    transform.SetMatrix(versor.GetMatrix())
    transform.SetTranslation((mm * shift).tolist())
    return transform


@dataclass(frozen=True)
class Case:
    """What is simulated; see the top of this file."""

    subject: str
    factor: int
    noise: float
    moved: bool

    @classmethod
    def parse(cls, name: str) -> Case:
        """From, for instance, "ALBERT01-f3-n2-m"."""
        match = re.fullmatch(r"(\w+)-f(\d+)-n(\d+)(-m)?", name)
        if match is None:
            raise ValueError(f"A case is SUBJECT-fFACTOR-nNOISE[-m], not {name!r}.")
        return cls(match[1], int(match[2]), int(match[3]) / 100, match[4] is not None)

    def stack(self, truth: Truth, index: int, move: sitk.Transform) -> tuple[sitk.Image, sitk.Image, list[int]]:
        """Thick slices of the moved volume, the mask on their grid, and which slices moved besides."""
        scan, mask = self._taken(truth, index, move)
        array, slices = sitk.GetArrayFromImage(scan), []
        axis = 2 - AXES[index]
        if self.moved and index == 0:
            used = np.flatnonzero(sitk.GetArrayFromImage(mask).any(axis=tuple({0, 1, 2} - {axis})))
            rng = np.random.default_rng(5)
            slices = sorted(rng.choice(used, round(0.1 * len(used)), replace=False).tolist())
            for number in slices:
                more = motion(truth, rng.uniform(2, 6), rng.uniform(3, 10), 100 + number)
                late, _ = self._taken(truth, index, more)
                place = (slice(None),) * axis + (number,)
                array[place] = sitk.GetArrayFromImage(late)[place]
        level = np.percentile(array[array > 0], 99.5)
        array = array + self.noise * level * np.random.default_rng(index).standard_normal(array.shape)
        return Grid.of(scan).image((SCALES[index] * array).astype(np.float32)), mask, slices

    def _taken(self, truth: Truth, index: int, move: sitk.Transform) -> tuple[sitk.Image, sitk.Image]:
        back = move.GetInverse()
        spacing = list(truth.image.GetSpacing())
        spacing[AXES[index]] *= self.factor
        scan = acquire(sitk.Resample(truth.image, truth.image, back, sitk.sitkBSpline), spacing)
        return scan, sitk.Resample(truth.mask, scan, back, sitk.sitkNearestNeighbor)


@dataclass(frozen=True)
class Experiment:
    """A case with its simulated stacks, and the steps that measure it."""

    case: Case
    model: Model
    truth: Truth
    moves: list[sitk.Euler3DTransform]
    stacks: list[tuple[sitk.Image, sitk.Image, list[int]]]

    @classmethod
    def of(cls, case: Case, model: Model) -> Experiment:
        """Simulate the stacks of a case."""
        truth = Truth.read(case.subject)
        moves = [motion(truth, *size, seed) for seed, size in enumerate(MOTIONS, start=40)]
        return cls(case, model, truth, moves, [case.stack(truth, index, move) for index, move in enumerate(moves)])

    @property
    def options(self) -> EnhanceOptions:
        """The result has the voxels of the truth."""
        return EnhanceOptions(spacing=min(self.truth.image.GetSpacing()))

    def alone(self, index: int) -> dict[str, Any]:
        """Scores of one stack, judged at its own place: it needs no registration."""
        scan, mask, _ = self.stacks[index]
        single = enhance(scan / SCALES[index], self.model, self.options, mask=mask)
        back, truth = self.moves[index].GetInverse(), self.truth
        there = Truth(
            sitk.Resample(truth.image, truth.image, back, sitk.sitkBSpline),
            sitk.Resample(truth.mask, truth.mask, back, sitk.sitkNearestNeighbor),
            sitk.Resample(truth.labels, truth.labels, back, sitk.sitkNearestNeighbor),
        )
        return {"rows": {f"stack {index + 1} alone": there.scores(single.sr, single.labels)}}

    def together(self, count: int) -> dict[str, Any]:
        """Scores of the first stacks together, and of the mean of their splines; errors in mm, slices left out."""
        start, truth = time.process_time(), self.truth
        images, masks = ([stack[k] for stack in self.stacks[:count]] for k in (0, 1))
        fused = enhance(images, self.model, self.options, mask=masks)
        seconds = round(time.process_time() - start, 1)
        entries = fused.record["stacks"]
        matrices = [np.eye(4), *(np.array(entry["registration"]["matrix_lps"]) for entry in entries[1:])]
        splines = [
            resampled(image / scale, Grid.of(truth.image), matrix, sitk.sitkBSpline)
            for image, scale, matrix in zip(images, SCALES, matrices, strict=False)
        ]
        mean = Grid.of(truth.image).image(np.mean(splines, axis=0))
        rows = {f"{count} stacks": truth.scores(fused.sr, fused.labels), f"mean of {count} splines": truth.scores(mean)}
        return {
            "rows": rows,
            f"cpu_seconds_{count}": seconds,
            f"left_out_{count}": [entry["slices_left_out"] for entry in entries],
            f"errors_mm_{count}": [error_mm(truth, m, move) for m, move in zip(matrices, self.moves, strict=False)],
        }

    def of_truth(self) -> dict[str, Any]:
        """The Dice of the segmented truth, which no reconstruction exceeds much."""
        truth = self.truth
        whole = enhance(truth.image, segmentation_model(self.model), self.options, mask=truth.mask)
        dice_of_truth = truth.scores(truth.image, whole.labels)["dice"]
        return {"rows": {"segmentation of the truth": {"dice": dice_of_truth}}, "moved": self.stacks[0][2]}


def run(case: Case, model: Model, path: Path) -> dict[str, Any]:
    """Go through the steps of a case that its file does not have yet, and add each to the file.

    Returns:
        Scores of every method, registration errors, and what was left out.
    """
    steps: dict[str, Callable[[Experiment], dict[str, Any]]]
    steps = {f"{count} stacks": partial(Experiment.together, count=count) for count in (3, 2)}
    for index in range(len(AXES)):
        steps[f"stack {index + 1} alone"] = partial(Experiment.alone, index=index)
    steps["segmentation of the truth"] = Experiment.of_truth
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    experiment = None
    for name, step in steps.items():
        if name not in result["rows"]:
            experiment = experiment or Experiment.of(case, model)
            found = step(experiment)
            result |= found | {"rows": result["rows"] | found["rows"]}
            path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def error_mm(truth: Truth, matrix: np.ndarray, move: sitk.Transform) -> float:
    """Mean distance of the found from the true place, over the brain."""
    points = points_inside(truth.mask, 2000)
    right = np.array([move.TransformPoint(point.tolist()) for point in points])
    return float(np.linalg.norm(moved_points(matrix, points) - right, axis=1).mean())


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row for each case."""
    columns = ("best stack alone", "mean of 2 splines", "2 stacks", "mean of 3 splines", "3 stacks")
    lines = ["| case | figure | " + " | ".join(columns) + " | gain of 2 | gain of 3 |", "|" + "---|" * 9]
    for name, result in results.items():
        rows = result["rows"]
        for figure, digits in (("psnr", 2), ("ssim", 4), ("dice", 3)):
            two, three = (max(rows[f"stack {k} alone"][figure] for k in range(1, n + 1)) for n in (2, 3))
            cells = [three] + [rows[column].get(figure) for column in columns[1:]]
            texts = ["" if cell is None else f"{cell:.{digits}f}" for cell in cells]
            gains = [f"{rows[f'{n} stacks'][figure] - best:+.{digits}f}" for n, best in ((2, two), (3, three))]
            lines.append(f"| {name} | {figure} | " + " | ".join(texts + gains) + " |")
    lines += ["", "| case | registration error of stacks 2 and 3, mm | slices that moved | left out, by stack |"]
    lines += ["|---|---|---|---|"]
    for name, result in results.items():
        errors = ", ".join(f"{error:.2f}" for error in result["errors_mm_3"][1:])
        lines.append(f"| {name} | {errors} | {result['moved']} | {result['left_out_3']} |")
    return "\n".join(lines)


def main() -> None:
    """Compute what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(DEFAULT), metavar="CASE")
    parser.add_argument("--model", default="segsrgan")
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    model, results = load_model(arguments.model), {}
    for name in arguments.cases:
        results[name] = run(Case.parse(name), model, arguments.outdir / f"{name}.json")
    print(table(results))


if __name__ == "__main__":
    main()
