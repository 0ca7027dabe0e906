"""What each choice of the training does: one change at a time, the same patches, several seeds.

    export SEGSRGAN_DATA=/folder/of/gholipour2017/and/fidon2021
    python benchmarks/ablation.py OUTDIR [--steps 360] [--seeds 0 1] [--arms content GAN]

Every arm starts from chance and takes equally many steps of its generator, so the hours differ and stand in the table.
The rest of the recipe is `configs/ablation.yaml`. A run whose result is in OUTDIR is not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from SegSRGANLib.cli.console import reported
from SegSRGANLib.training.config import make_config, read_values
from SegSRGANLib.training.config_parsing import merge
from SegSRGANLib.training.trainer import train

CONFIGS = Path(__file__).parent / "configs"
TRAINING_VOLUMES = 18  # of configs/atlases.csv

# One idea each. The critic is narrower than the paper's, for the sake of a CPU.
ARMS: dict[str, dict[str, Any]] = {
    "content": {},
    "GAN": {"loss": {"adversarial": 1e-3, "critic_filters": 8}},
    "randomization": {"simulation": {"augmentation": {"synthetic": 0.5}}},
    "cascade": {
        "network": {"architecture": "cascade", "options": {"filters": 32, "blocks": 6, "levels": 4}},
        "optimizer": {"output_rate": None, "clip": 5.0},
    },
    "agreement": {"simulation": {"consistent_input": True}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--steps", type=int, default=360, help="of the generator, a multiple of the training volumes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--volumes", type=int, default=4, help="test volumes, the first of the table")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for arm in arguments.arms:
            run(arm, seed, arguments)
    print(table(arguments))


def run(arm: str, seed: int, arguments: argparse.Namespace) -> None:
    """Train one arm with one seed, unless that was done."""
    folder = arguments.outdir / f"{arm}-{seed}"
    if (folder / "result.json").is_file():
        return
    base = read_values(CONFIGS / "ablation.yaml")
    common = {
        "output": str(folder),
        "patches_per_subject": max(1, arguments.steps // TRAINING_VOLUMES),
        "seed": seed,
        "validation": {"volumes": arguments.volumes, "patch": 128},
    }
    config = make_config(merge(merge(base, common), ARMS[arm]))
    with reported("bar", None) as (show, should_stop):
        train(config, show, should_stop)


def table(arguments: argparse.Namespace) -> str:
    """The arms' means over test volumes, mean and standard deviation over the seeds, as Markdown."""
    lines = ["| arm | PSNR in brain, dB | against the spline | SSIM in brain | Dice | hours a run |", "|" + "---|" * 6]
    for arm in arguments.arms:
        results = [
            json.loads((arguments.outdir / f"{arm}-{seed}" / "result.json").read_text(encoding="utf-8"))
            for seed in arguments.seeds
        ]
        scores = [result["after"] for result in results]
        cells = [
            spread([score["psnr"] for score in scores], 2),
            spread([score["psnr"] - score["psnr_spline"] for score in scores], 2),
            spread([score["ssim"] for score in scores], 4),
            spread([score["dice"] for score in scores], 3),
            f"{mean(result['hours'] for result in results):.2f}",
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """Mean ± standard deviation."""
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
