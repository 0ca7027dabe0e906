"""Speed, memory and quality of prediction: ours beside the original's strategy, MONAI, other engines and the floor.

    python benchmarks/inference.py speed     [--model NAME] [--shape 128 192 192] [--repeats 3]
    python benchmarks/inference.py precision [--model NAME ...] [--subjects ALBERT01 ...]
    python benchmarks/inference.py quality   [--model FILE] [--subjects SBA25 SBA28op SBA32op]
    python benchmarks/inference.py profile   [--model FILE]

Prints Markdown, of the default model unless another one is named. What is compared runs in turns, round by round, and
a ratio is the median of the rounds' ratios: on a machine with other work it is worth more than the seconds. There,
run with  --clock cpu --threads 1,  which counts the CPU seconds of one thread. `quality` and `precision` need the data
in $SEGSRGAN_DATA. MONAI, OpenVINO and ONNX Runtime are optional (pip install --no-deps monai; see exported_forms.py).
"""

from __future__ import annotations

import argparse
import copy
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
from exported_forms import ENGINES
from prediction_quality import precision, quality
from strategies import STRATEGIES, plain_form
from torch import nn

from SegSRGANLib.inference.forms.choice import inference_form
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.models.registry import DEFAULT_MODEL
from SegSRGANLib.networks.layers import UpsampleConv
from SegSRGANLib.utils.memory import kept_heap


def loaded(model: str | None) -> Model:
    return load_model(model or DEFAULT_MODEL, "cpu")


def network(model: str | None) -> nn.Module:
    return loaded(model).network.eval()


def machine() -> str:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{device}; torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def flops(net: nn.Module, side: int = 64) -> dict[str, float]:
    """Floating-point operations a voxel of the convolutions: as published, and with the upsampling folded as here."""
    work = {"published": 0.0, "folded": 0.0}

    def count(layer: nn.Conv3d, inputs: object, output: torch.Tensor) -> None:
        taps = layer.weight[0, 0].numel()
        pairs = 2 * layer.in_channels * output.numel()
        work["published"] += taps * pairs
        work["folded"] += (8 if isinstance(layer, UpsampleConv) else taps) * pairs

    hooks = [layer.register_forward_hook(count) for layer in net.modules() if isinstance(layer, nn.Conv3d)]
    with torch.inference_mode():
        net(torch.zeros(1, 1, side, side, side))
    for hook in hooks:
        hook.remove()
    return {name: value / side**3 for name, value in work.items()}


def matrix_rate(clock: Callable[[], float], dtype: torch.dtype = torch.float32) -> float:
    """The best rate of this machine, operations a second: a large matrix product, or a large convolution."""
    a, x, w = torch.rand(3000, 3000), torch.rand(1, 64, 34, 34, 34), torch.rand(64, 64, 3, 3, 3)
    x, w = (t.to(dtype).contiguous(memory_format=torch.channels_last_3d) for t in (x, w))
    a, rates = a.to(dtype), []
    with torch.inference_mode():
        for run, work in ((lambda: a @ a, 2 * 3000**3), (lambda: torch.conv3d(x, w), 2 * 27 * 64**2 * 32**3)):
            rates.append(work / min(_times(run, 8, clock)))
    return max(rates)


def _times(run: Callable[[], object], repeats: int, clock: Callable[[], float], warm: bool = False) -> list[float]:
    if not warm:
        run()
    seconds = []
    for _ in range(repeats):
        start = clock()
        run()
        seconds.append(clock() - start)
    return seconds


def _forms(net: nn.Module, engine: str | None, side: int) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """What computes one patch, by name: the plain network first, then ours, or another engine."""
    forms = {"plain torch, float32": plain_form(net)}
    if engine is not None:
        return forms | {engine: ENGINES[engine](net, side)}
    forms["ours, float32"] = inference_form(net)
    return forms | {"ours, bfloat16": inference_form(copy.deepcopy(net), torch.bfloat16)}


def one_patch(arguments: argparse.Namespace) -> None:
    """One patch in turns, in this process, which an engine may end; prints JSON."""
    net, side = network(arguments.model), arguments.patches[0]
    x, forms = torch.rand(1, 1, side, side, side), _forms(net, arguments.engine, side)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    clock = CLOCKS[arguments.clock]
    with torch.inference_mode(), kept_heap():
        for turn in range(arguments.repeats + 1):
            for name, form in forms.items():
                start = clock()
                form(x)
                if turn:
                    seconds[name].append(clock() - start)
    print(json.dumps(seconds))


def patches(net: nn.Module, arguments: argparse.Namespace) -> None:
    """One patch in every form; each ratio is of times in one process."""
    clock, work = CLOCKS[arguments.clock], flops(net)["folded"]
    rates = {"float32": matrix_rate(clock), "bfloat16": matrix_rate(clock, torch.bfloat16)}
    print("Matrix rate: " + ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in rates.items()) + ".")
    for side in arguments.patches:
        print(f"\n| patch of {side}^3 | seconds (range) | plain torch : this | over the floor |\n|---|---|---|---|")
        for engine in (None, *ENGINES):
            seconds = _in_own_process(
                ["patch", "--patches", str(side)] + (["--engine", engine] if engine else []), arguments
            )
            if seconds is None:
                print(f"| {engine} | not available | | |")
                continue
            plain = seconds["plain torch, float32"]
            for name, values in list(seconds.items())[1 if engine else 0 :]:
                ratio = statistics.median(p / v for p, v in zip(plain, values, strict=True))
                over = (
                    statistics.median(values)
                    * rates["bfloat16" if "bfloat16" in name else "float32"]
                    / (work * side**3)
                )
                spread = f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"
                print(f"| {name} | {spread} | {ratio:.2f} | {over:.2f} |", flush=True)


def _in_own_process(what: list[str], arguments: argparse.Namespace) -> dict | None:
    """The JSON that another call of this script prints; None when it failed, with the reason on stderr."""
    command = [sys.executable, __file__, *what, "--repeats", str(arguments.repeats), "--clock", arguments.clock]
    command += (["--threads", str(arguments.threads)] if arguments.threads else []) + (
        ["--model", arguments.model] if arguments.model else []
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        print(f"{' '.join(what)}: {reason}", file=sys.stderr)
        return None
    print(" ".join(what), done.stdout.splitlines()[-1], file=sys.stderr, flush=True)
    return json.loads(done.stdout.splitlines()[-1])


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
        side = max(strategy.patch, 64)
        strategy.predict(net, volume[:side, :side, :side])  # to warm up
        seconds = _times(lambda: strategy.predict(net, volume), arguments.repeats, CLOCKS[arguments.clock], warm=True)
    print(json.dumps({"seconds": seconds, "megabytes": (_peak() - before) / 2**20}))


def _peak() -> int:
    """Largest memory of this process until now, bytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM:"):  # ru_maxrss would be the parent's, when that was larger
            return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def speed(arguments: argparse.Namespace) -> None:
    net = network(arguments.model)
    work = flops(net)
    print(f"Machine: {machine()}. Clock: {arguments.clock}. Model: {arguments.model or DEFAULT_MODEL}.")
    print(f"The network: {work['published'] / 1e3:.0f} kFLOP a voxel, {work['folded'] / 1e3:.0f} as computed here.")
    patches(net, arguments)
    results = {}
    for strategy in STRATEGIES:
        if strategy.name in arguments.leave_out:
            continue
        result = _in_own_process(["case", "--case", strategy.name, "--shape", *map(str, arguments.shape)], arguments)
        if result is not None:
            results[strategy.name] = result
    _speed_table(arguments, results)


def _speed_table(arguments: argparse.Namespace, results: dict) -> None:
    medians = {name: statistics.median(result["seconds"]) for name, result in results.items()}
    print(f"\nVolume of {' x '.join(map(str, arguments.shape))} voxels.\n")
    print(f"| strategy | seconds (range) | {' | '.join(f'{base} : this' for base in _BASES)} | peak memory, MB |")
    print("|---|---|" + "---|" * (len(_BASES) + 1))
    for name, result in results.items():
        seconds = result["seconds"]
        spread = f"({min(seconds):.1f}-{max(seconds):.1f})" if len(seconds) > 1 else ""
        spread = "(from some patches)" if name.startswith("original") else spread
        ratios = " | ".join(f"{medians.get(other, float('nan')) / medians[name]:.1f}" for other in _BASES)
        memory = "-" if name.startswith("original") else f"{result['megabytes']:.0f}"
        print(f"| {name} | {medians[name]:.1f} {spread} | {ratios} | {memory} |")


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_BASES = ("original, patch 64 step 20", "MONAI, patch 64 overlap 0.5", "MONAI, patch 128 overlap 0.25")


def profile(arguments: argparse.Namespace) -> None:
    """Where the seconds of one whole run go."""
    import SimpleITK as sitk

    from SegSRGANLib.inference.options import EnhanceOptions
    from SegSRGANLib.inference.pipeline import enhance

    depth, height, width = arguments.shape
    scan = sitk.GetImageFromArray(np.random.default_rng(0).random((depth // 6, height, width), np.float32) + 0.1)
    scan.SetSpacing((0.5, 0.5, 3.0))
    model = loaded(arguments.model)
    print(f"\nMachine: {machine()}.\n\n| plan | {' | '.join(_STEPS)} | total, s |\n|{'---|' * (len(_STEPS) + 2)}")
    for patch, overlap in ((64, 0.5), (128, 0.25), (0, 0.0)):
        options = EnhanceOptions(0.5, prediction=PredictionOptions(patch, overlap, device="cpu"))
        record = enhance(scan, model, options, mask="none").record
        seconds = record["seconds"]
        shares = " | ".join(f"{100 * seconds[step] / seconds['total']:.1f} %" for step in _STEPS)
        print(f"| {record['prediction']['plan']} | {shares} | {seconds['total']:.1f} |", flush=True)
    _operations(network(arguments.model))


_STEPS = ("mask", "interpolation", "prediction", "composition", "consistency", "refinement", "quality")


def _operations(net: nn.Module) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    form, x = inference_form(net), torch.rand(1, 1, 128, 128, 128)
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
    parser.add_argument("what", choices=["speed", "precision", "quality", "profile", "case", "patch"])
    parser.add_argument("--shape", type=int, nargs=3, default=[128, 192, 192], metavar=("Z", "Y", "X"))
    parser.add_argument("--model", help="name or .safetensors file; by default the default model")
    parser.add_argument("--patches", type=int, nargs="+", default=[64, 128], help="sides of single patches")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--subjects", nargs="+", help="by default three of the data that the command needs")
    parser.add_argument("--thickness", type=float, default=2.4, help="slices of the quality test, mm")
    parser.add_argument("--leave-out", nargs="*", default=[], choices=[s.name for s in STRATEGIES])
    parser.add_argument("--case", choices=[s.name for s in STRATEGIES], help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=list(ENGINES), help=argparse.SUPPRESS)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, help="default: torch's")
    arguments = parser.parse_args()
    newborns = ["ALBERT01", "ALBERT05", "ALBERT10"]
    arguments.subjects = arguments.subjects or (
        newborns if arguments.what == "precision" else ["SBA25", "SBA28op", "SBA32op"]
    )
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    {
        "speed": speed,
        "precision": precision,
        "quality": quality,
        "profile": profile,
        "case": one_case,
        "patch": one_patch,
    }[arguments.what](arguments)


if __name__ == "__main__":
    main()
