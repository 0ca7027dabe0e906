"""Does a batch cost the same per volume, in time and memory, from the first volume to the last?

    python benchmarks/batch_scale.py -o docs/batch_scale.md [--volumes 1000] [--workers 1] [--model segsrgan-paper]

Small volumes with noise in them, as many as asked for, through `segsrgan batch`. Every second the memory and the
processor time of the process and its workers are read (psutil, from the extra test). The table compares tenths of the
run; on a machine that does other things, too, the processor time is the one to trust.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk


def main() -> None:
    """Make the volumes, run the batch, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .md file")
    parser.add_argument("--volumes", type=int, default=1000)
    parser.add_argument("--size", default="24,24,12", help="voxels x,y,z of 1 x 1 x 2 mm")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model", default="segsrgan-paper")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scans, results = Path(folder, "scans"), Path(folder, "results")
        _write_scans(scans, arguments.volumes, tuple(map(int, arguments.size.split(","))))
        command = [sys.executable, "-m", "SegSRGANLib", "batch", str(scans), "-o", str(results), "--spacing", "1"]
        command += ["--model", arguments.model, "--patch", "0", "--workers", str(arguments.workers)]
        samples, status = _watch([*command, "--progress", "none"], results)
    text = _table(samples, arguments.volumes, arguments.workers, status)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


def _write_scans(folder: Path, count: int, size: tuple[int, ...]) -> None:
    folder.mkdir()
    for k in range(count):
        array = np.random.default_rng(k).random(size[::-1], np.float32) * 100 + 10
        image = sitk.DiscreteGaussian(sitk.GetImageFromArray(array), 1.0)
        image.SetSpacing((1.0, 1.0, 2.0))
        sitk.WriteImage(image, str(folder / f"v{k:05}.nii.gz"))


Sample = tuple[float, int, int, float]  # seconds, finished volumes, bytes and processor seconds of all processes


def _watch(command: list[str], results: Path) -> tuple[list[Sample], int]:
    """Run a command; what it took over time, and its exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    samples = []
    while process.poll() is None:
        time.sleep(1)
        done = len(list(results.glob("*_record.json"))) if results.is_dir() else 0
        memory, busy = _taken(process.pid)
        if not samples or busy >= samples[-1][3]:  # a worker that ends takes its time along
            samples.append((time.perf_counter() - start, done, memory, busy))
    return samples, process.returncode


def _taken(pid: int) -> tuple[int, float]:
    """Resident bytes and processor seconds of a process and its children; 0 when they have just ended."""
    try:
        parent = psutil.Process(pid)
        everyone = [parent, *parent.children(recursive=True)]
        return sum(p.memory_info().rss for p in everyone), sum(sum(p.cpu_times()[:2]) for p in everyone)
    except psutil.Error:
        return 0, 0.0


def _table(samples: list[Sample], volumes: int, workers: int, status: int) -> str:
    lines = [f"{volumes} volumes, {workers} worker(s), exit status {status}.", ""]
    lines += ["| volumes | seconds per volume | processor seconds per volume | peak memory, MB |", "|---|---|---|---|"]
    bounds = np.linspace(0, volumes, 11).astype(int)
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        part = [s for s in samples if low < s[1] <= high and s[2]]
        if len(part) > 1 and (count := part[-1][1] - part[0][1]):
            pace, busy = ((part[-1][k] - part[0][k]) / count for k in (0, 3))
            lines.append(f"| {low + 1} to {high} | {pace:.3f} | {busy:.3f} | {max(s[2] for s in part) / 2**20:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
