"""Put a trained model among the released ones: its card in full, its weights in half precision, listed in models.json.

    python benchmarks/release_model.py runs/segsrgan/model.safetensors benchmarks/configs/segsrgan.yaml segsrgan \\
        --cortex-from 0.7

The card is made from the configuration and from what is measured of its training volumes, as `segsrgan train` makes it;
half precision halves the download, and weights that end after bfloat16's eight bits make the repository grow by a sixth
less. `--cortex-from` calibrates the segmentation: the probability from which validation
volumes of another source are best segmented becomes 0.5.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import torch

from SegSRGANLib.models.card import Reliability
from SegSRGANLib.models.checkpoint import Model, load_checkpoint, save_checkpoint
from SegSRGANLib.models.registry import DEFAULT_MODEL
from SegSRGANLib.networks.segsrgan import Generator
from SegSRGANLib.training.config import TrainingConfig, make_config, read_values
from SegSRGANLib.training.data.loading import load_subjects
from SegSRGANLib.training.data.splits import TRAIN, read_cases
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.training.release import make_card
from SegSRGANLib.utils.atomic_files import atomic_path
from SegSRGANLib.utils.progress import scaled

_CELL = 8  # log-odds of the first class in each cell of a cascade
MODELS = Path(__file__).parents[1] / "Resources" / "Models"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help=".safetensors file of a training")
    parser.add_argument("config", type=Path, help="configuration that it was trained with")
    parser.add_argument("name", help="under which users pick it")
    parser.add_argument("--cortex-from", type=float, default=0.5, help="probability that becomes 0.5")
    parser.add_argument("--reliability", type=Path, help="what `benchmarks/verdict.py fit` wrote")
    parser.add_argument("--folder", type=Path, default=MODELS, help="of models.json")
    arguments = parser.parse_args()
    model = load_checkpoint(arguments.model)
    if arguments.cortex_from != 0.5:
        calibrate(model, arguments.cortex_from)
    config = make_config(read_values(arguments.config))
    file = arguments.folder / f"{arguments.name}.safetensors"
    card = make_card(config, volumes(config, model), None)
    if arguments.reliability is not None:
        fitted = json.loads(arguments.reliability.read_text(encoding="utf-8"))
        card = replace(card, reliability=Reliability.from_values(fitted))
    rounded(model)
    save_checkpoint(file, model.network, card, half=True)
    listed(arguments.folder / "models.json", arguments.name, load_checkpoint(file), file.stat().st_size)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def calibrate(model: Model, probability: float) -> None:
    """Shift the log-odds of cortex so that `probability`, between 0 and 1, becomes 0.5."""
    shift, network = -math.log(probability / (1 - probability)), model.network
    if isinstance(network, Generator):
        network.config = replace(network.config, calibration=round(network.config.calibration + shift, 4))
    else:
        with torch.no_grad():
            network.segmentation.head.bias[:_CELL] += shift


def rounded(model: Model) -> None:
    """Round all weights to bfloat16: as much as most machines compute with, and less to compress."""
    with torch.no_grad():
        for weight in model.network.state_dict().values():
            weight.copy_(weight.bfloat16())


def volumes(config: TrainingConfig, model: Model) -> list[Subject]:
    """The training volumes of the configuration."""
    cases = read_cases(config.csv, config.bids, config.test_share, config.seed, config.held_out_fold)
    chosen = [case for case in cases if case.base == TRAIN]
    loaded = load_subjects(chosen, config.tissues, model.card.normalization, scaled(None, 0, 1), None)
    return [subject for _, subject in loaded]


def listed(path: Path, name: str, model: Model, size: int) -> None:
    """Write the model's entry in models.json, the default model first; the other entries stay as they are."""
    everything = json.loads(path.read_text(encoding="utf-8"))
    earlier = {entry["name"]: entry for entry in everything["models"]}
    entries = [entry for entry in earlier.values() if entry["name"] != name]
    card = model.card
    entry = {
        "name": name,
        "title": card.title,
        "summary": earlier.get(name, {}).get("summary", ""),
        "description": card.description,
        "licence": card.licence,
        "training_data": card.training_data,
        "citation": card.citation,
        "training_slices": list(card.training_slices),
        "file": f"{name}.safetensors",
        "size": size,
        "sha256": model.sha256,
    }
    bundled = sum("file" in other for other in entries)
    entries.insert(0 if name == DEFAULT_MODEL else bundled, entry)
    with atomic_path(path) as temporary:
        text = json.dumps(everything | {"models": entries}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
