"""Make the published SRReCNN out of a small trained one, which computes the same, as the start of a training.

    segsrgan train benchmarks/configs/srrecnn-small.yaml
    python benchmarks/grow_srrecnn.py runs/srrecnn-small/model.safetensors runs/srrecnn-grown.safetensors
    segsrgan train benchmarks/configs/srrecnn.yaml

Twenty layers of 64 filters at full resolution learn next to nothing in an hour of a CPU: 700 steps from the usual
random weights came to 0.02 dB above the spline, and 2,000 steps at a rate of 5e-4 left half of the filters dead. The
small network came to 1.4 dB in 700 steps, on patches like those that it was trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.networks.srrecnn import SRReCNNConfig, grow

NOISE = 0.02  # of the deviation of a layer's weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small", type=Path)
    parser.add_argument("grown", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = load_checkpoint(arguments.small)
    save_checkpoint(arguments.grown, grow(model.network, SRReCNNConfig(), NOISE), model.card)


if __name__ == "__main__":
    main()
