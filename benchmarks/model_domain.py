"""Write into a model's card what its training covered, for models that were trained before cards said so.

    python benchmarks/model_domain.py Resources/Models/segsrgan-paper.safetensors benchmarks/configs/segsrgan-paper.yaml

Measures the training volumes that the configuration names, as `segsrgan train` does for every new model, and writes the
card anew: the weights stay as they are. A file that stands in the models.json beside it gets its new size and SHA-256
there, too. `-o FILE` writes another file instead. Data: see the environment variables in the configuration's table.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from SegSRGANLib.atomic import atomic_path
from SegSRGANLib.checkpoint import Model, load_checkpoint, save_checkpoint
from SegSRGANLib.domain import Domain
from SegSRGANLib.progress import scaled
from SegSRGANLib.training.cases import TRAIN, read_cases
from SegSRGANLib.training.config import TrainingConfig, make_config, read_values
from SegSRGANLib.training.domain import training_domain
from SegSRGANLib.training.loading import load_subjects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help=".safetensors file")
    parser.add_argument("config", type=Path, help="configuration that it was trained with")
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: the model's own")
    arguments = parser.parse_args()
    model = load_checkpoint(arguments.model)
    domain = domain_of(make_config(read_values(arguments.config)), model)
    output = arguments.output or arguments.model
    save_checkpoint(output, model.network, replace(model.card, domain=domain))
    listed = output.with_name("models.json")
    if listed.is_file():
        relist(listed, output)
    print(json.dumps(asdict(domain)), f"-> {output}")


def domain_of(config: TrainingConfig, model: Model) -> Domain:
    """What a training with this configuration covers."""
    cases = read_cases(config.csv, config.bids, config.test_share, config.seed)
    chosen = [case for case in cases if case.base == TRAIN]
    loaded = load_subjects(chosen, config.label, model.card.normalization, scaled(None, 0, 1), None)
    return training_domain([subject for _, subject in loaded], config.simulation, config.seed)


def relist(listed: Path, file: Path) -> None:
    """Bring size and SHA-256 of a file up to date in models.json; nothing else of it changes."""
    text = listed.read_text(encoding="utf-8")
    entries = [entry for entry in json.loads(text)["models"] if entry.get("file") == file.name]
    for entry in entries:
        text = text.replace(entry["sha256"], load_checkpoint(file).sha256)
        text = text.replace(f'"size": {entry["size"]}', f'"size": {file.stat().st_size}')
    with atomic_path(listed) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
