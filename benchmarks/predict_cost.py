"""Wall time of each step and peak memory of `segsrgan predict`, as its user runs it.

    python benchmarks/predict_cost.py [--scans 256x256x64 360x360x30] [--spacings 0.5] [--precisions auto float32]
        [--overlap 0.5] [--repeats 3] [--mask]

The scans are the procedural phantom in air with noise: 256 x 256 x 64 voxels of 0.5 x 0.5 x 1.5 mm, and a raw stack of
360 x 360 x 30 voxels of 0.5 x 0.5 x 3 mm. Spacings of 1, 0.794, 0.63 and 0.5 mm make results of 1, 2, 4 and 8 times
as many voxels; OMP_NUM_THREADS=1 runs on one core. Without --mask no brain is masked and no patch skipped. Peak
memory is the child process's maximum resident set; "start and files" is what the command takes beside `enhance`:
starting, reading, the model, and writing the results with their picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import write_volume
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import resample_labels

SCANS = {"256x256x64": ((256, 256, 64), 1.5), "360x360x30": ((360, 360, 30), 3.0)}  # voxels, thickness in mm
STEPS = ("mask", "interpolation", "prediction", "composition", "consistency", "refinement", "quality")


def main() -> None:
    """Run the command several times for each scan; print medians and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", nargs="+", choices=list(SCANS), default=list(SCANS))
    parser.add_argument("--patch", type=int, default=PredictionOptions.patch)
    parser.add_argument("--overlap", type=float, default=PredictionOptions.overlap)
    parser.add_argument("--precisions", nargs="+", default=[PredictionOptions.precision])
    parser.add_argument("--spacings", nargs="+", default=["0.5"], help="of the result, mm")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mask", action="store_true", help="give the brain mask, as a clinical run has one")
    arguments = parser.parse_args()
    options = ["--patch", str(arguments.patch), "--overlap", str(arguments.overlap)]
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    print(f"{threads} threads, {' '.join(options)}, {arguments.repeats} runs, medians, seconds.\n")
    heads = ["scan", "result, mm", "precision", *STEPS, "start and files", "total", "total : prediction"]
    print(f"| {' | '.join([*heads, 'peak memory, MB'])} |")
    print("|---" * (len(heads) + 1) + "|")
    options += ["--overwrite", "--progress", "none"]
    for name, spacing, precision in product(arguments.scans, arguments.spacings, arguments.precisions):
        chosen = [*options, "--spacing", spacing, "--precision", precision]
        cells = row(name, chosen, arguments.repeats, arguments.mask)
        print(f"| {' | '.join([name, spacing, precision, *cells])} |", flush=True)


def row(name: str, options: list[str], repeats: int, masked: bool) -> list[str]:
    """Seconds of the steps, of the rest and of all, their ratio, and megabytes."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        scan, mask = clinical_scan(*SCANS[name])
        write_volume(scan, folder / "scan.nii.gz")
        write_volume(mask, folder / "mask.nii.gz")
        command = [sys.executable, "-m", "SegSRGANLib", "predict", str(folder / "scan.nii.gz"), "-o", text, *options]
        command += ["--mask", str(folder / "mask.nii.gz") if masked else "none"]
        runs = []
        for _ in range(repeats):
            wall, kilobytes = cost(command)
            seconds = json.loads((folder / "scan_record.json").read_text(encoding="utf-8"))["seconds"]
            runs.append([*(seconds.get(step, 0.0) for step in STEPS), wall - seconds["total"], wall, kilobytes / 1024])
    *parts, wall, megabytes = (statistics.median(column) for column in zip(*runs, strict=True))
    ratio = wall / parts[STEPS.index("prediction")]
    return [*(f"{part:.1f}" for part in [*parts, wall]), f"{ratio:.2f}", f"{megabytes:.0f}"]


def clinical_scan(size: tuple[int, int, int], thickness: float) -> tuple[sitk.Image, sitk.Image]:
    """The phantom as thick slices, on a field of view with air around, as scanners make it; and its brain mask."""
    phantom = neonatal_phantom(spacing=0.5)
    thick = acquire(phantom.t2w, (0.5, 0.5, thickness), noise=2.0)
    missing = [wanted - n for wanted, n in zip(size, thick.GetSize(), strict=True)]
    lower = [max(0, m // 2) for m in missing]
    upper = [max(0, m) - low for m, low in zip(missing, lower, strict=True)]
    padded = sitk.ConstantPad(thick, lower, upper, 0.0)
    first = [max(0, -m) // 2 for m in missing]
    padded = sitk.RegionOfInterest(padded, size, first)
    noisy = sitk.AdditiveGaussianNoise(padded, standardDeviation=2.0, seed=1)  # no patch is constant and skipped
    return noisy, resample_labels(phantom.mask, Grid.of(noisy))


def cost(command: list[str]) -> tuple[float, int]:
    """Seconds and peak kilobytes of one run of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the command failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss


if __name__ == "__main__":
    main()
