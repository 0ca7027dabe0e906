"""Precision of the forms that prediction runs, against the plain network in float64: every variant of the original.

    python benchmarks/parity.py [VARIANT ...] [--side 128] [--ratio 20]

Full-size networks with random weights, on noise of deviation 0.05 whose mean is --ratio deviations. Prints a row of
Markdown for each variant: the largest error in any channel, and the voxels whose cortex differs, of the plain network
in float32, of the fast form in one patch, and of the form that streams a whole volume through in slabs.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Generator as Generated
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from SegSRGANLib.inference.forms.fast_forward import FastGenerator
from SegSRGANLib.inference.forms.slab_forward import predict_streaming
from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

VARIANTS = {
    "paper": GeneratorConfig(),
    "plain": KerasGeneratorConfig(),
    "non-residual": KerasGeneratorConfig(residual=False),
    "conditional": KerasGeneratorConfig(conditional=True),
    "mask": KerasGeneratorConfig(mask_channels=1),
    "mask-classes": KerasGeneratorConfig(mask_channels=3),
    "unet": KerasGeneratorConfig(unet=True),
    "unet-conditional": KerasGeneratorConfig(unet=True, conditional=True),
    "unet-non-residual": KerasGeneratorConfig(unet=True, residual=False),
    "unet-mask": KerasGeneratorConfig(unet=True, mask_channels=1),
}
_SLAB = 8  # slices of one convolution in float64, which torch unfolds whole: 13 GB for the last layer of 128^3


def random_network(config: GeneratorConfig | KerasGeneratorConfig) -> Generator | KerasGenerator:
    """A network whose normalizations have random weights, too."""
    torch.manual_seed(0)
    network = (Generator if isinstance(config, GeneratorConfig) else KerasGenerator)(config).eval()
    for name, parameter in network.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.5)
    return network


@contextmanager
def slab_convolutions() -> Generated[None]:
    """Inside the block, convolutions are computed slab by slab: the same sums in less memory."""
    whole = F.conv3d

    def conv3d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, stride=1, *rest):
        step = stride if isinstance(stride, int) else stride[0]
        kernel = weight.shape[2]
        slices = (x.shape[2] - kernel) // step + 1
        slabs = [
            whole(x[:, :, step * first : step * (min(first + _SLAB, slices) - 1) + kernel], weight, bias, stride, *rest)
            for first in range(0, slices, _SLAB)
        ]
        return torch.cat(slabs, dim=2)

    F.conv3d = conv3d
    try:
        yield
    finally:
        F.conv3d = whole


def row(name: str, side: int, ratio: float) -> str:
    """Measure one variant."""
    network = random_network(VARIANTS[name])
    torch.manual_seed(1)
    x = 0.05 * (torch.randn(1, 1, side, side, side) + ratio)
    with torch.no_grad():
        with slab_convolutions():
            exact = copy.deepcopy(network).double()(x.double())
        results, seconds = {}, {}
        fast = FastGenerator(network)
        forms = {"plain": network, "patch": fast, "whole": lambda given: predict_streaming(fast, given)}
        for form, run in forms.items():
            if form == "whole" and fast.unet:
                continue  # which is predicted in patches
            start = time.process_time()
            results[form] = run(x)
            seconds[form] = time.process_time() - start
    errors = {form: float((result - exact).abs().max()) for form, result in results.items()}
    cortex = exact[:, 1] >= 0.5
    flips = {form: int(((result[:, 1] >= 0.5) != cortex).sum()) for form, result in results.items()}
    cells = [f"{errors[form]:.1e} ({flips[form]})" if form in errors else "-" for form in forms]
    costs = " / ".join(f"{value:.1f}" for value in seconds.values())
    return f"| {name} | {' | '.join(cells)} | {costs} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(VARIANTS))
    parser.add_argument("--side", type=int, default=128, help="of the volume, voxels")
    parser.add_argument("--ratio", type=float, default=20.0, help="mean of the volume, in its deviations")
    arguments = parser.parse_args()
    print("| variant | plain, float32 | fast, one patch | fast, whole volume | CPU seconds |\n|---|--:|--:|--:|--:|")
    for name in arguments.variants or VARIANTS:
        print(row(name, arguments.side, arguments.ratio), flush=True)


if __name__ == "__main__":
    main()
