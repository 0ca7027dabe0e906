"""Prediction on a GPU: equal to the CPU, seconds and peak memory of each model and precision, graphs and compilation.

    python benchmarks/gpu_inference.py [--models segsrgan segsrgan-paper srrecnn] [--shape 204 256 256]

Prints Markdown and ends with status 1 when a result differs from the CPU's by more than the bounds. Without a CUDA
device it says so and ends with status 0. Made to end within five minutes; weights are the bundled ones, the volume a
smooth phantom with noise.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from SegSRGANLib.inference.forms.choice import full_precision, inference_form
from SegSRGANLib.inference.forms.precision import MOST_ERROR, MOST_FLIPS, change_of
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.models.checkpoint import load_model

_SMALL = (96, 96, 80)  # voxels of the comparison with the CPU
_EXACT = {"intensity_error": 0.01, "flipped": 0.001}  # of float32, see `change_of`
_PATCH = 128


def volume_of(shape: tuple[int, ...]) -> torch.Tensor:
    """A bright ball with folds and noise on a dark ground, (z, y, x), in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    axes = [torch.linspace(-1, 1, length) for length in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    radius = (z**2 + y**2 + x**2).sqrt()
    folds = 0.15 * torch.sin(20 * x) * torch.sin(20 * y) * torch.sin(20 * z)
    coarse = torch.randn((1, 1, *(n // 2 for n in shape)), generator=generator)
    noise = 0.02 * F.interpolate(coarse, size=shape, mode="trilinear")[0, 0]
    return ((radius < 0.8 + folds).float() * (0.5 + 0.3 * torch.sin(8 * radius)) + noise).clamp(0, 1)


def timed(run: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each repeat, after one to warm up."""
    seconds = []
    for turn in range(repeats + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if turn:
            seconds.append(time.perf_counter() - start)
    return seconds


def equality(name: str, network: nn.Module) -> bool:
    """Compare both precisions with float32 on the CPU."""
    volume, classes = volume_of(_SMALL), getattr(network, "classes", 1)
    exact = predict_volume(copy.deepcopy(network), volume, PredictionOptions(96, device="cpu", precision="float32"))
    equal, on_gpu = True, copy.deepcopy(network).cuda()
    for precision, bounds in (
        ("float32", _EXACT),
        ("bfloat16", {"intensity_error": MOST_ERROR, "flipped": MOST_FLIPS}),
    ):
        result = predict_volume(on_gpu, volume, PredictionOptions(96, device="cuda", precision=precision))
        change = change_of(exact.numpy(), result.numpy(), classes)
        within = all(change[key] <= bound for key, bound in bounds.items())
        equal &= within
        print(
            f"| {name} | {precision} | {change['intensity_error']:.4f} | {100 * change['flipped']:.3f} % | "
            f"{'yes' if within else 'NO'} |",
            flush=True,
        )
    return equal


def whole_volumes(name: str, network: nn.Module, volume: torch.Tensor, repeats: int) -> None:
    """Seconds and peak memory of a whole volume in each precision."""
    on_gpu = copy.deepcopy(network).cuda()
    for precision in ("float32", "bfloat16", "auto"):
        options, record = PredictionOptions(_PATCH, device="cuda", precision=precision), {}
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            seconds = timed(lambda options=options, record=record: predict_volume(
                on_gpu, volume, options, record=record
            ), repeats)  # fmt: skip
        except (RuntimeError, ValueError, MemoryError) as error:
            print(f"| {name} | {precision} | {type(error).__name__}: {str(error).splitlines()[0]} | | |")
            continue
        peak = torch.cuda.max_memory_allocated() / 2**20
        print(
            f"| {name} | {precision} ({record['precision']['chosen']}) | {statistics.median(seconds):.2f} "
            f"({min(seconds):.2f}-{max(seconds):.2f}) | {peak:.0f} | {record['plan']} |",
            flush=True,
        )


def tricks(name: str, network: nn.Module, repeats: int) -> None:
    """One patch: the plain modules, our form, our form in a CUDA graph, the plain modules compiled."""
    x = torch.rand(1, 1, _PATCH, _PATCH, _PATCH, device="cuda")
    on_gpu = copy.deepcopy(network).cuda()
    form = inference_form(on_gpu, torch.bfloat16)
    cells: dict[str, Callable[[], object]] = {"ours": lambda: form(x)}

    def plain(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return on_gpu(x)

    cells["plain"] = lambda: plain(x)
    cells["ours, CUDA graph"] = lambda: None
    cells["plain, compiled"] = lambda: compiled(x)
    compiled = torch.compile(plain)
    with torch.inference_mode():
        for label, run in cells.items():
            try:
                seconds = timed(_graph(form, x) if "graph" in label else run, repeats)
            except Exception as error:  # a graph or compiler that refuses is a row, not the end
                print(f"| {name} | {label} | left out: {type(error).__name__}: {str(error).splitlines()[0][:80]} |")
                continue
            print(f"| {name} | {label} | {1000 * statistics.median(seconds):.1f} |", flush=True)


def _graph(form: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """Our form, recorded once and replayed."""
    form(x)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        form(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        form(x)
    return graph.replay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["segsrgan", "segsrgan-paper", "srrecnn"])
    parser.add_argument("--shape", type=int, nargs=3, default=[204, 256, 256], metavar=("Z", "Y", "X"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA device is available: nothing was measured.")
        return
    print(
        f"Device: {torch.cuda.get_device_name()}; torch {torch.__version__}; {' x '.join(map(str, arguments.shape))}."
    )
    networks = {name: load_model(name, "cpu").network.eval() for name in arguments.models}
    print("\n| model | precision | error : noise at SNR 100 | flipped | within bounds |\n|---|---|---|---|---|")
    equal = True
    for name, network in networks.items():
        equal &= equality(name, network)
    print("\n| model | precision | seconds (range) | peak memory, MB | plan |\n|---|---|---|---|---|")
    volume = volume_of(tuple(arguments.shape))
    for name, network in networks.items():
        whole_volumes(name, network, volume, arguments.repeats)
    print(f"\n| model | one patch of {_PATCH}^3, bfloat16 | ms |\n|---|---|---|")
    with full_precision():
        name = arguments.models[0]  # compilation takes a minute
        tricks(name, networks[name], arguments.repeats)
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
