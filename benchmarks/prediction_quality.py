"""What patches, overlap and precision do to the result; commands of inference.py."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from strategies import STRATEGIES

from SegSRGANLib.data.classes import label_map
from SegSRGANLib.inference.forms.precision import change_of
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.models.registry import DEFAULT_MODEL


def precision(arguments: argparse.Namespace) -> None:
    """What bfloat16 changes on newborns: thick slices along the second axis, float32 beside bfloat16."""
    from SegSRGANLib.metrics.image import psnr
    from SegSRGANLib.metrics.segmentation import dice
    from SegSRGANLib.training.validation import prepare_case

    model = load_model(arguments.model or DEFAULT_MODEL, "cpu")
    print(f"\nModel: {arguments.model or DEFAULT_MODEL}; slices of {arguments.thickness} mm.\n")
    print(
        "| subject | PSNR in the brain, dB: float32, bfloat16 | Dice of the cortex | error : noise, SNR 100 | flipped |"
    )
    print("|---|---|---|---|---|")
    for name in arguments.subjects:
        case = prepare_case(
            _subject(name, 1), arguments.thickness, model.card.normalization, model.card.consistent_input
        )
        wanted = case.subject.class_table[case.subject.labels] > 0
        mask, figures, results = case.subject.labels > 0, [], []
        for choice in ("float32", "bfloat16"):
            result = predict_volume(
                model.network, case.given, PredictionOptions(device="cpu", precision=choice)
            ).numpy()
            results.append(result)
            cortex = label_map(result[1 : 1 + len(model.classes)], 0.5) == 1
            estimate = result[0] * np.float32(case.scale)
            figures.append((psnr(case.reference, estimate, mask), dice(wanted, cortex)))
        change = change_of(*results, len(model.classes))
        (psnr_a, dice_a), (psnr_b, dice_b) = figures
        print(
            f"| {name} | {psnr_a:.3f}, {psnr_b:.3f} | {dice_a:.4f}, {dice_b:.4f} | {change['intensity_error']:.3f} | "
            f"{100 * change['flipped']:.2f} % |",
            flush=True,
        )


def quality(arguments: argparse.Namespace) -> None:
    from SegSRGANLib.metrics.image import psnr
    from SegSRGANLib.metrics.segmentation import dice
    from SegSRGANLib.training.validation import prepare_case

    model = load_model(arguments.model or DEFAULT_MODEL, "cpu")
    normalization, consistent = model.card.normalization, model.card.consistent_input
    validation_cases = [
        prepare_case(_subject(name), arguments.thickness, normalization, consistent) for name in arguments.subjects
    ]
    print(f"\nSubjects: {', '.join(arguments.subjects)}; slices of {arguments.thickness} mm; mean over subjects.\n")
    print("| strategy | seconds | PSNR in the brain, dB | PSNR, dB | Dice of the cortex |\n|---|---|---|---|---|")
    rows: dict[str, list] = {"spline": []}
    for case in validation_cases:
        reference, mask = case.reference, case.subject.labels > 0
        wanted = case.subject.class_table[case.subject.labels] > 0
        spline = case.interpolated.numpy() * case.scale
        rows["spline"].append((0.0, psnr(reference, spline, mask), psnr(reference, spline), float("nan")))
        for strategy in STRATEGIES:
            if strategy.name in arguments.leave_out:
                continue
            start = time.perf_counter()
            result = strategy.predict(model.network, case.given, plain=False).numpy()
            seconds = time.perf_counter() - start
            estimate = result[0] * np.float32(case.scale)
            figures = psnr(reference, estimate, mask), psnr(reference, estimate), dice(wanted, result[1] >= 0.5)
            rows.setdefault(strategy.name, []).append((seconds, *figures))
            print(case.subject.name, strategy.name, rows[strategy.name][-1], file=sys.stderr, flush=True)
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        print(f"| {name} | {mean[0]:.1f} | {mean[1]:.2f} | {mean[2]:.2f} | {mean[3]:.4f} |")


def _subject(name: str, thick_axis: int = 0):
    """A subject of the newborns (ALBERT...) or of the atlas of Fidon et al., its thick slices along an array axis."""
    import SimpleITK as sitk

    from SegSRGANLib.training.data.subject import Subject

    data = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    source = "gousias2012" if name.startswith("ALBERT") else "fidon2021"
    stem = data / source / f"sub-{name}" / "anat" / f"sub-{name}"
    image = sitk.ReadImage(f"{stem}_T2w.nii.gz", sitk.sitkFloat32)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}_dseg.nii.gz")).astype(np.uint8)
    intensity = np.maximum(sitk.GetArrayFromImage(image), 0)
    intensity, labels = (np.ascontiguousarray(np.moveaxis(a, thick_axis, 0)) for a in (intensity, labels))
    return Subject(name, intensity / intensity.max(), labels, {"cortex": (5,)}, float(image.GetSpacing()[0]))
