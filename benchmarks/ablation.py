"""What each choice of the training does: one change at a time, the same patches, several seeds.

    export SEGSRGAN_DATA=/folder/of/gholipour2017/and/fidon2021
    python benchmarks/ablation.py OUTDIR [--study networks] [--steps 360] [--seeds 0 1] [--arms content GAN]

Every arm takes equally many steps of its generator, so the hours differ and stand in the table. `networks` starts from
chance (recipe `configs/ablation.yaml`); `newborns` asks which simulated scans teach a model of an atlas most about
newborns (`configs/paper-newborns.yaml`, shorter), from the paper's generator before newborns joined its training:

    git show 97b53dd^:Resources/Models/segsrgan-paper.safetensors > runs/segsrgan-paper-atlas.safetensors

A run whose result is in OUTDIR is not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from SegSRGANLib.cli.console import reported
from SegSRGANLib.training.config import make_config, read_values
from SegSRGANLib.training.config_parsing import merge
from SegSRGANLib.training.trainer import train

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Study:
    """A recipe, how many volumes it trains on, its arms, one idea each, and what all of them change."""

    recipe: str
    volumes: int
    arms: dict[str, dict[str, Any]]
    common: dict[str, Any] = field(default_factory=dict)


def _augmentation(**changes: Any) -> dict[str, Any]:
    return {"simulation": {"augmentation": changes}}


STUDIES = {
    "networks": Study(
        "ablation.yaml",
        18,
        {
            "content": {},
            # The critic is narrower than the paper's, for the sake of a CPU.
            "GAN": {"loss": {"adversarial": 1e-3, "critic_filters": 8}},
            "randomization": _augmentation(synthetic=0.5),
            "cascade": {
                "network": {"architecture": "cascade", "options": {"filters": 32, "blocks": 6, "levels": 4}},
                "optimizer": {"output_rate": None, "clip": 5.0},
            },
            "agreement": {"simulation": {"consistent_input": True}},
        },
    ),
    "newborns": Study(
        "paper-newborns.yaml",
        29,
        {
            "recipe": {},
            "no contrasts from labels": _augmentation(synthetic=0.0),
            "half of the contrasts from labels": _augmentation(synthetic=0.5),
            "no deformation": _augmentation(deformation=0.0),
            "no masks, nothing stripped": _augmentation(stripping=0.0, masked=0.0, hard_edge=0.0),
            "no changes of tissues": _augmentation(tissue_shift=0.0, gamma=[1.0, 1.0]),
            "agreement with the slices": {"simulation": {"consistent_input": True}},
        },
        {
            "init": str(CONFIGS.parents[1] / "runs" / "segsrgan-paper-atlas.safetensors"),
            "hours": None,
            "epochs": 1,
            "optimizer": {"warmup": 40, "average": 0.99},
            "validation": {"every": 5},
        },
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--study", choices=STUDIES, default="networks")
    parser.add_argument("--steps", type=int, default=360, help="of the generator")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", help="of the study; all of them if left out")
    parser.add_argument("--volumes", type=int, default=4, help="test volumes, the first of the table")
    arguments = parser.parse_args()
    study = STUDIES[arguments.study]
    arms = arguments.arms or list(study.arms)
    if unknown := set(arms) - set(study.arms):
        parser.error(f"{', '.join(sorted(unknown))}: the arms of {arguments.study} are {', '.join(study.arms)}.")
    for seed in arguments.seeds:
        for arm in arms:
            run(study, arm, seed, arguments)
    print(table(arms, arguments.seeds, arguments.outdir))


def run(study: Study, arm: str, seed: int, arguments: argparse.Namespace) -> None:
    """Train one arm with one seed, unless that was done."""
    folder = result_folder(arguments.outdir, arm, seed)
    if (folder / "result.json").is_file():
        return
    recipe = merge(read_values(CONFIGS / study.recipe), study.common)
    batch = recipe["optimizer"]["batch"]
    common = {
        "output": str(folder),
        "patches_per_subject": max(1, round(arguments.steps * batch / study.volumes)),
        "seed": seed,
        "validation": {"volumes": arguments.volumes, "patch": 128},
    }
    config = make_config(merge(merge(recipe, common), study.arms[arm]))
    with reported("bar", None) as (show, should_stop):
        train(config, show, should_stop)


def result_folder(outdir: Path, arm: str, seed: int) -> Path:
    """Where the training of one arm with one seed goes."""
    return outdir / f"{arm.replace(' ', '-').replace(',', '')}-{seed}"


def table(arms: list[str], seeds: list[int], outdir: Path) -> str:
    """The arms' means over test volumes, mean and standard deviation over the seeds, as Markdown."""
    lines = ["| arm | PSNR in brain, dB | against the spline | SSIM in brain | Dice | hours a run |", "|" + "---|" * 6]
    for arm in arms:
        files = [result_folder(outdir, arm, seed) / "result.json" for seed in seeds]
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
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
