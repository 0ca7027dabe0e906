"""How close models and spline interpolation come to the truth, on simulated thick slices of an atlas.

    python benchmarks/atlas_evaluation.py -o docs/evaluation [--factors 3,6] [--models segsrgan-paper] [--subjects ...]

HR volume -> observation model along the third axis -> system -> comparison on the HR grid, one subject after the
other. Writes one CSV row per subject, factor and system, and Markdown tables of mean and standard deviation.
Data: the folder in the environment variable SEGSRGAN_DATA (default: shared/data beside the repository).
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import SimpleITK as sitk
import torch

from SegSRGANLib.acquisition import acquire
from SegSRGANLib.consistency import make_consistent
from SegSRGANLib.geometry import Grid, output_grid
from SegSRGANLib.inference import EnhanceOptions, enhance
from SegSRGANLib.metrics import evaluate
from SegSRGANLib.prediction import PredictionOptions
from SegSRGANLib.resampling import upsample
from SegSRGANLib.volume_io import read_labels, read_volume
from SegSRGANLib.weights import load_model

CORTEX = 5
MEASURES = {
    "psnr": ("PSNR", 2),
    "psnr_mask": ("PSNR in mask", 2),
    "ssim": ("SSIM", 4),
    "ssim_mask": ("SSIM in mask", 4),
    "dice": ("Dice", 3),
    "hd95": ("HD95 (mm)", 2),
    "assd": ("ASSD (mm)", 2),
    "volume_bias": ("volume bias (%)", 1),
    "seconds": ("seconds", 1),
}


def main() -> None:
    """Evaluate, and write the rows as they come, so that a broken run can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="path of the tables, without extension")
    parser.add_argument("--source", default="fidon2021", help="folder of the data")
    parser.add_argument("--factors", default="3,6")
    parser.add_argument("--models", default="segsrgan-paper")
    parser.add_argument("--subjects", default="", help="names separated by commas; default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="subjects at a time, each on one core")
    arguments = parser.parse_args()
    root = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    wanted = [name for name in arguments.subjects.split(",") if name]
    subjects = [p for p in sorted((root / arguments.source).glob("sub-*")) if not wanted or p.name in wanted]
    if not subjects:
        parser.error(f"no subjects in {root / arguments.source}; set SEGSRGAN_DATA")
    factors, names = [float(f) for f in arguments.factors.split(",")], arguments.models.split(",")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    with arguments.output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["subject", "factor", "system", *MEASURES])
        writer.writeheader()
        with ProcessPoolExecutor(arguments.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            jobs = [(subject, factor, names, arguments.device) for subject in subjects for factor in factors]
            for found in pool.map(evaluate_subject, *zip(*jobs, strict=True)):
                rows += found
                for row in found:
                    writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
                    print(row["subject"], f"factor {row['factor']:g}", row["system"], *_short(row), flush=True)
                file.flush()
    arguments.output.with_suffix(".md").write_text(markdown(rows))
    print(markdown(rows))


def evaluate_subject(subject: Path, factor: float, names: list[str], device: str) -> list[dict[str, object]]:
    """Rows of one subject at one factor: spline, then each model; each also made to agree with the scan."""
    files = subject / "anat" / subject.name
    hr, truth = read_volume(f"{files}_T2w.nii.gz"), read_labels(f"{files}_dseg.nii.gz")
    mask = read_labels(f"{files}_desc-brain_mask.nii.gz")
    spacing = list(hr.GetSpacing())
    spacing[2] *= factor
    thick = acquire(hr, spacing)
    options = EnhanceOptions(spacing=hr.GetSpacing(), prediction=PredictionOptions(device=device))
    start = time.perf_counter()
    spline = upsample(thick, output_grid(Grid.of(thick), hr.GetSpacing()))
    seconds = time.perf_counter() - start
    rows = [_row(subject, factor, "spline", evaluate(onto(spline, hr), hr, mask=mask), seconds)]
    figures = evaluate(onto(make_consistent(thick, spline), hr), hr, mask=mask)
    rows.append(_row(subject, factor, "spline, consistent", figures, time.perf_counter() - start))
    for name in names:
        result = enhance(thick, load_model(name, device), options)
        labels = None if result.labels is None else onto(result.labels, hr)
        figures = evaluate(onto(result.sr, hr), hr, labels=labels, truth=truth, mask=mask, truth_label=CORTEX)
        rows.append(_row(subject, factor, name, figures, result.record["seconds"]["total"]))
        start = time.perf_counter()
        projected = make_consistent(thick, result.sr)
        figures = evaluate(onto(projected, hr), hr, mask=mask)
        seconds = result.record["seconds"]["total"] + time.perf_counter() - start
        rows.append(_row(subject, factor, f"{name}, consistent", figures, seconds))
    return rows


def onto(image: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Cut a result to the grid of the truth: same spacing and near faces, so voxels coincide."""
    return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor)


def markdown(rows: list[dict[str, object]]) -> str:
    """One table a factor: mean (standard deviation) over the subjects."""
    lines = []
    for factor in sorted({row["factor"] for row in rows}):
        chosen = [row for row in rows if row["factor"] == factor]
        count = len({row["subject"] for row in chosen})
        lines += [
            f"### Factor {factor:g}, {count} volumes",
            "",
            "| system | " + " | ".join(t for t, _ in MEASURES.values()),
        ]
        lines[-1] += " |"
        lines.append("|---" * (len(MEASURES) + 1) + "|")
        for system in dict.fromkeys(row["system"] for row in chosen):
            cells = [
                _cell([r[m] for r in chosen if r["system"] == system], digits) for m, (_, digits) in MEASURES.items()
            ]
            lines.append(f"| {system} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(values: list[object], digits: int) -> str:
    numbers = [v for v in values if isinstance(v, float)]
    if not numbers:
        return "-"
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return f"{statistics.fmean(numbers):.{digits}f} ({deviation:.{digits}f})"


def _row(subject: Path, factor: float, system: str, figures: dict[str, float], seconds: float) -> dict[str, object]:
    values = {measure: figures.get(measure, "") for measure in MEASURES}
    return {"subject": subject.name, "factor": factor, "system": system, **values, "seconds": seconds}


def _short(row: dict[str, object]) -> list[str]:
    return [f"{m} {row[m]:.3f}" for m in ("psnr_mask", "ssim_mask", "dice", "assd", "seconds") if row[m] != ""]


if __name__ == "__main__":
    main()
