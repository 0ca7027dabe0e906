"""Speed, memory and quality of prediction: ours beside the original's strategy, MONAI and the machine's limit.

    python benchmarks/inference.py speed   [--shape 204 256 256] [--model FILE] [--repeats 3]
    python benchmarks/inference.py quality [--model FILE] [--subjects SBA25 SBA28op SBA32op]
    python benchmarks/inference.py profile [--model FILE]

Prints Markdown. Every case of `speed` runs in a process of its own, so that its peak memory is its own. On a machine
that is busy with other work run  speed --clock cpu --threads 1,  which counts the CPU seconds of one thread. `quality`
needs the atlas of Fidon et al. (2021) in $SEGSRGAN_DATA/fidon2021. MONAI is optional (pip install --no-deps monai).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from strategies import STRATEGIES, PlainGenerator

from SegSRGANLib.inference.fast_forward import FastGenerator
from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.networks.segsrgan import Generator
from SegSRGANLib.utils.memory import kept_heap


def network(model: str | None) -> Generator:
    torch.manual_seed(0)
    return load_checkpoint(model).network if model else Generator().eval()


def machine() -> str:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{device}; torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def flops(net: Generator, voxels: float = 1.0) -> dict[str, float]:
    """Floating-point operations a voxel of the network as published, and as we compute it (upsampling folded)."""
    f, blocks = net.config.filters, net.config.blocks
    same = 2 * (
        343 * f + 27 * f * 2 * f / 8 + 27 * 2 * f * 4 * f / 64 + blocks * 2 * 27 * 16 * f * f / 64 + 343 * f * 2
    )
    return {
        "published": voxels * (same + 2 * 27 * (4 * f * 2 * f / 8 + 2 * f * f)),
        "folded": voxels * (same + 2 * 8 * (4 * f * 2 * f / 8 + 2 * f * f)),
    }


def matrix_rate(clock: Callable[[], float]) -> float:
    """The best rate of this machine, operations a second: a large matrix product, or a large convolution."""
    a, x, w = torch.rand(3000, 3000), torch.rand(1, 64, 34, 34, 34), torch.rand(64, 64, 3, 3, 3)
    x, w = (t.contiguous(memory_format=torch.channels_last_3d) for t in (x, w))
    rates = []
    with torch.inference_mode():
        for run, work in ((lambda: a @ a, 2 * 3000**3), (lambda: torch.conv3d(x, w), 2 * 27 * 64**2 * 32**3)):
            rates.append(work / min(_times(run, 8, clock)))
    return max(rates)


def _times(run: Callable[[], object], repeats: int, clock: Callable[[], float]) -> list[float]:
    run()
    seconds = []
    for _ in range(repeats):
        start = clock()
        run()
        seconds.append(clock() - start)
    return seconds


def patches(net: Generator, rate: float, repeats: int, clock: Callable[[], float]) -> None:
    print("\n| patch | plain torch, s | our training form, s | our inference form, s | ratio | floor, s | over floor |")
    print("|---|---|---|---|---|---|---|")
    forms = [PlainGenerator(net), net, FastGenerator(net)]
    with torch.inference_mode():
        for side in (64, 96, 128, 160):
            x = torch.rand(1, 1, side, side, side)
            cells, medians = [], []
            for form in forms:
                with kept_heap() if isinstance(form, FastGenerator) else torch.inference_mode():
                    seconds = _times(lambda form=form, x=x: form(x), repeats, clock)
                medians.append(statistics.median(seconds))
                cells.append(f"{medians[-1]:.2f} ({min(seconds):.2f}-{max(seconds):.2f})")
            floor = flops(net, side**3)["folded"] / rate
            ratio, over = medians[0] / medians[2], medians[2] / floor
            print(f"| {side}^3 | {' | '.join(cells)} | {ratio:.1f} | {floor:.2f} | {over:.2f} |", flush=True)


def one_case(arguments: argparse.Namespace) -> None:
    """One strategy in this process; prints JSON."""
    strategy = next(s for s in STRATEGIES if s.name == arguments.case)
    net = network(arguments.model)
    volume = torch.from_numpy(np.random.default_rng(0).random(arguments.shape, np.float32))
    before = _peak()
    if strategy.kind == "original":
        count = 2 if strategy.patch > 64 else 10
        seconds = [strategy.extrapolated_seconds(net, volume, count, CLOCKS[arguments.clock])]
        strategy.predict(net, volume[: strategy.patch, : strategy.patch, : strategy.patch])
    else:
        seconds = _times(lambda: strategy.predict(net, volume), arguments.repeats, CLOCKS[arguments.clock])
    print(json.dumps({"seconds": seconds, "megabytes": (_peak() - before) / 2**20}))


def _peak() -> int:
    """Largest memory of this process until now, bytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM:"):  # ru_maxrss would be the parent's, when that was larger
            return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def speed(arguments: argparse.Namespace) -> None:
    clock = CLOCKS[arguments.clock]
    net, rate = network(arguments.model), matrix_rate(clock)
    voxels = float(np.prod(arguments.shape))
    work = flops(net)
    print(f"Machine: {machine()}. Clock: {arguments.clock}.\nMatrix rate: {rate / 1e9:.0f} GFLOP/s.")
    print(f"The network: {work['published'] / 1e3:.0f} kFLOP a voxel, {work['folded'] / 1e3:.0f} as computed here.")
    patches(net, rate, arguments.repeats, clock)
    results = {}
    for strategy in STRATEGIES:
        if strategy.name in arguments.leave_out:
            continue
        command = [sys.executable, __file__, "case", "--case", strategy.name, "--shape", *map(str, arguments.shape)]
        command += ["--repeats", str(arguments.repeats), "--clock", arguments.clock]
        command += (["--threads", str(arguments.threads)] if arguments.threads else []) + (
            ["--model", arguments.model] if arguments.model else []
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{strategy.name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            continue
        results[strategy.name] = json.loads(done.stdout.splitlines()[-1])
        print(strategy.name, results[strategy.name], file=sys.stderr, flush=True)
    _speed_table(arguments, results, flops(net, voxels)["folded"] / rate)


def _speed_table(arguments: argparse.Namespace, results: dict, floor: float) -> None:
    medians = {name: statistics.median(result["seconds"]) for name, result in results.items()}
    print(f"\nVolume of {' x '.join(map(str, arguments.shape))} voxels; floor for one pass: {floor:.1f} s.\n")
    print("| strategy | seconds (range) | original 64/20 : this | MONAI 64/0.5 : this | peak memory, MB |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        seconds = result["seconds"]
        spread = f"({min(seconds):.1f}-{max(seconds):.1f})" if len(seconds) > 1 else ""
        spread = "(from some patches)" if name.startswith("original") else spread
        ratios = " | ".join(f"{medians.get(other, float('nan')) / medians[name]:.1f}" for other in _BASES)
        memory = "-" if name.startswith("original") else f"{result['megabytes']:.0f}"
        print(f"| {name} | {medians[name]:.1f} {spread} | {ratios} | {memory} |")


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_BASES = ("original, patch 64 step 20", "MONAI, patch 64 overlap 0.5")


def quality(arguments: argparse.Namespace) -> None:
    from SegSRGANLib.metrics.image import psnr
    from SegSRGANLib.metrics.segmentation import dice
    from SegSRGANLib.training.validation import prepare_case

    model = load_checkpoint(arguments.model)
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


def _subject(name: str):
    import SimpleITK as sitk

    from SegSRGANLib.training.data.subject import Subject

    data = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    stem = data / "fidon2021" / f"sub-{name}" / "anat" / f"sub-{name}"
    image = sitk.ReadImage(f"{stem}_T2w.nii.gz", sitk.sitkFloat32)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}_dseg.nii.gz")).astype(np.uint8)
    intensity = np.maximum(sitk.GetArrayFromImage(image), 0)
    return Subject(name, intensity / intensity.max(), labels, {"cortex": (5,)}, float(image.GetSpacing()[0]))


def profile(arguments: argparse.Namespace) -> None:
    """Where the seconds of one whole run go."""
    import SimpleITK as sitk

    from SegSRGANLib.inference.options import EnhanceOptions
    from SegSRGANLib.inference.pipeline import enhance
    from SegSRGANLib.inference.predictor import PredictionOptions
    from SegSRGANLib.models.card import ModelCard
    from SegSRGANLib.models.checkpoint import Model

    depth, height, width = arguments.shape
    scan = sitk.GetImageFromArray(np.random.default_rng(0).random((depth // 6, height, width), np.float32) + 0.1)
    scan.SetSpacing((0.5, 0.5, 3.0))
    model = Model(network(arguments.model), ModelCard())
    print(f"\nMachine: {machine()}.\n\n| plan | {' | '.join(_STEPS)} | total, s |\n|{'---|' * (len(_STEPS) + 2)}")
    for patch, overlap in ((64, 0.5), (128, 0.25), (0, 0.0)):
        options = EnhanceOptions(0.5, prediction=PredictionOptions(patch, overlap, device="cpu"))
        record = enhance(scan, model, options).record
        seconds = record["seconds"]
        shares = " | ".join(f"{100 * seconds[step] / seconds['total']:.1f} %" for step in _STEPS)
        print(f"| {record['prediction']['plan']} | {shares} | {seconds['total']:.1f} |", flush=True)
    _operations(network(arguments.model))


_STEPS = ("interpolation", "prediction", "composition", "quality")


def _operations(net: Generator) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    form, x = FastGenerator(net), torch.rand(1, 1, 128, 128, 128)
    with torch.inference_mode(), kept_heap():
        form(x)
        with profiler(activities=[ProfilerActivity.CPU]) as seen:
            form(x)
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    print("\n| operation in a patch of 128^3 | share |\n|---|---|")
    for event in events[:8]:
        print(f"| {event.key} | {100 * event.self_cpu_time_total / total:.1f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "quality", "profile", "case"])
    parser.add_argument("--shape", type=int, nargs=3, default=[204, 256, 256], metavar=("Z", "Y", "X"))
    parser.add_argument("--model", help=".safetensors file; by default random weights")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--subjects", nargs="+", default=["SBA25", "SBA28op", "SBA32op"])
    parser.add_argument("--thickness", type=float, default=2.4, help="slices of the quality test, mm")
    parser.add_argument("--leave-out", nargs="*", default=[], choices=[s.name for s in STRATEGIES])
    parser.add_argument("--case", choices=[s.name for s in STRATEGIES], help=argparse.SUPPRESS)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, help="default: torch's")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    {"speed": speed, "quality": quality, "profile": profile, "case": one_case}[arguments.what](arguments)


if __name__ == "__main__":
    main()
