"""Wall time and peak memory of `segsrgan predict`, as its user runs it, on a scan of 256 x 256 x 64 voxels.

    python benchmarks/predict_cost.py [--patch 128] [--overlap 0.5] [--repeats 3]

The scan is the procedural phantom with 0.5 x 0.5 x 1.5 mm voxels in a field of view of 128 x 128 x 96 mm; the
output has 0.5 mm, 256 x 256 x 192 voxels. Peak memory is the child process's maximum resident set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import write_volume
from SegSRGANLib.transforms.acquisition import acquire

SIZE = (256, 256, 64)


def main() -> None:
    """Run the command several times; print median, spread and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, default=PredictionOptions.patch)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.nii.gz"
        write_volume(clinical_scan(), scan)
        options = ["--patch", str(arguments.patch), "--overlap", str(arguments.overlap), "--overwrite"]
        command = [
            sys.executable,
            "-m",
            "SegSRGANLib",
            "predict",
            str(scan),
            "-o",
            folder,
            "--progress",
            "none",
            *options,
        ]
        runs = [cost(command) for _ in range(arguments.repeats)]
    seconds, memory = zip(*runs, strict=True)
    print(f"patch {arguments.patch}, overlap {arguments.overlap}, {os.cpu_count()} cores, {len(runs)} runs")
    print(f"seconds: median {statistics.median(seconds):.1f}, {min(seconds):.1f} to {max(seconds):.1f}")
    print(f"peak memory: {max(memory) / 2**20:.2f} GiB")


def clinical_scan() -> sitk.Image:
    """The phantom as thick slices, on a field of view with air around, as scanners make it."""
    thick = acquire(neonatal_phantom(spacing=0.5).t2w, (0.5, 0.5, 1.5), noise=2.0)
    missing = [wanted - n for wanted, n in zip(SIZE, thick.GetSize(), strict=True)]
    lower = [max(0, m // 2) for m in missing]
    upper = [max(0, m) - low for m, low in zip(missing, lower, strict=True)]
    padded = sitk.ConstantPad(thick, lower, upper, 0.0)
    if padded.GetSize() != SIZE:
        raise RuntimeError(f"the scan has {padded.GetSize()} voxels, not {SIZE}")
    return sitk.AdditiveGaussianNoise(padded, standardDeviation=2.0, seed=1)  # no patch is constant and skipped


def cost(command: list[str]) -> tuple[float, int]:
    """Seconds and peak kilobytes of one run of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the command failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss


if __name__ == "__main__":
    main()
