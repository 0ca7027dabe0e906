"""`python -m SegSRGANLib.training.brain --pack FILE --out FOLDER`: train the brain extractor."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from .loop import Files, TrainingOptions, train


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m SegSRGANLib.training.brain", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="Volumes to train on, see pack.write_pack.")
    parser.add_argument("--held-out", type=Path, help="Volumes to measure the Dice on at the end.")
    parser.add_argument("--out", type=Path, required=True, help="Folder of the weights.")
    parser.add_argument("--init", type=Path, help="Weights to start from.")
    parser.add_argument("--device", default="cuda", help="Device: cuda or cpu.")
    parser.add_argument("--seconds", type=float, default=90.0, help="Time for all of it.")
    parser.add_argument("--steps", type=int, help="Number of steps in place of a time.")
    parser.add_argument("--batch", type=int, default=8, help="Scans a step.")
    parser.add_argument("--fresh", type=int, help="Scans a step that are made anew; the others were seen before.")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="Highest learning rate.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed.")
    return parser.parse_args()


def main() -> None:
    """Read the arguments and train."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    a = _arguments()
    options = TrainingOptions(a.seconds, a.steps, a.batch, a.fresh, a.learning_rate, seed=a.seed)
    train(Files(a.pack, a.held_out, a.out, a.init), torch.device(a.device), options)


if __name__ == "__main__":
    main()
