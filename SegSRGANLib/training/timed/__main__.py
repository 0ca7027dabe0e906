"""Timed trainings, one after the other, on a machine that has torch, numpy and safetensors.

python -m SegSRGANLib.training.timed segsrgan=300 segsrgan-paper=140 --pack volumes.zip --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from ..data.device_volumes import DeviceVolume, to_device
from ..data.volume_pack import read_pack
from .loop import load_state, measure, run, save_state
from .recipes import CLASSES, RECIPES, Recipe
from .trainer import TimedTraining

logger = logging.getLogger("SegSRGANLib.training.timed")

_LAST = 20.0  # seconds before the deadline in which nothing more begins


def main() -> None:
    """Parse the command line and train."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    options = _parsed()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = False
    began, device = time.monotonic(), torch.device(options.device)
    volumes = _volumes(options.pack, options.only, device)
    counts = {"train": len(volumes[0]), "held_out": len(volumes[1])}
    logger.info("volumes %s", json.dumps({"ready_s": round(time.monotonic() - began, 1), **counts}))
    for name, seconds in options.recipes:
        left = options.deadline - (time.monotonic() - began)
        if left < _LAST:
            logger.info("%s %s", name, json.dumps({"left out": f"{left:.0f} s to the deadline"}))
            continue
        _train(name, min(seconds, left), options, volumes, device)


def _train(
    name: str,
    seconds: float,
    options: argparse.Namespace,
    volumes: tuple[list[DeviceVolume], list[DeviceVolume]],
    device: torch.device,
) -> None:
    recipe, began = _scaled(RECIPES[name], options.scale), time.monotonic()
    if options.measure:
        trial = TimedTraining(recipe, volumes, device)
        for stage in recipe.stages:
            logger.info("%s %s", name, json.dumps({"stage": str(stage), **measure(trial, stage)}))
        del trial
    training = TimedTraining(recipe, volumes, device)
    if options.resume:
        load_state(training, options.resume, name)
    try:
        run(training, name, seconds - (time.monotonic() - began), options.out, options.steps)
        if options.state:
            options.state.mkdir(parents=True, exist_ok=True)
            save_state(training, options.state, name)
    except RuntimeError as error:  # the next training may still succeed, and the time is short
        logger.exception("%s failed: %s", name, error)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=_recipe, help="NAME=SECONDS, one after the other")
    parser.add_argument("--pack", type=Path, required=True, help="volumes, as `segsrgan pack` writes them")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model files")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, help="stop each training after so many steps, for a trial")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all batches")
    parser.add_argument("--only", default="", help="volumes whose names contain one of these words, comma-separated")
    parser.add_argument("--state", type=Path, help="folder for the state of each training")
    parser.add_argument("--resume", type=Path, help="folder of such states to go on from")
    parser.add_argument("--measure", action="store_true", help="time each stage first")
    parser.add_argument("--deadline", type=float, default=1e9, help="seconds after which nothing more begins")
    return parser.parse_args()


def _recipe(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    if name not in RECIPES:
        raise argparse.ArgumentTypeError(f"unknown recipe {name!r}; choose of {', '.join(RECIPES)}")
    try:
        return name, float(seconds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"write NAME=SECONDS, such as {name}=300, not {text!r}") from None


def _volumes(pack: Path, only: str, device: torch.device) -> tuple[list[DeviceVolume], list[DeviceVolume]]:
    """Those to learn from, and those held out."""
    placed: tuple[list[DeviceVolume], list[DeviceVolume]] = ([], [])
    for volume in read_pack(pack):
        if any(word in volume.name for word in only.split(",")):
            placed[volume.held_out].append(to_device(volume, list(CLASSES.values()), device))
    return placed


def _scaled(recipe: Recipe, scale: float) -> Recipe:
    stages = tuple(replace(stage, batch=max(1, round(stage.batch * scale))) for stage in recipe.stages)
    return replace(recipe, stages=stages)


if __name__ == "__main__":
    main()
