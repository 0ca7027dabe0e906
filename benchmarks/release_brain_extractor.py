"""Put trained weights of the brain extractor among the bundled files, listed in models.json apart from the models.

    python benchmarks/release_brain_extractor.py runs/brain/brain-extractor.safetensors

Models are offered to users; the extractor is a part of every run, so it stands under "brain_extractors".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import torch

from SegSRGANLib.models.brain_extractor import read_brain_extractor
from SegSRGANLib.utils.atomic_files import atomic_path

MODELS = Path(__file__).parents[1] / "Resources" / "Models"
FILE = "brain-extractor.safetensors"
_CARD = {
    "name": "brain-extractor",
    "title": "Brain extractor",
    "description": "A small U-Net on voxels of 3 mm that finds the brain in T2-weighted scans of newborns' heads and "
    "of fetuses in their mothers; trained on synthetic scans alone, see docs/brain_extraction.md.",
    "licence": "Research use only: trained on data for non-commercial research and education (Imperial College London; "
    "CRL, Boston Children's Hospital)",
    "training_data": "Label maps, and images of some, of 13 newborns (Gousias et al., NeuroImage 62:1499, 2012, and "
    "PLoS ONE 8:e59990, 2013; tissues: Makropoulos et al., NeuroImage 125:456, 2016; Copyright Imperial College of "
    "Science, Technology and Medicine and Ioannis S. Gousias 2013, all rights reserved), 20 fetuses (Urru et al., "
    "2023), and atlases of 21 to 38 weeks (Gholipour et al., Scientific Reports 7:476, 2017, labels: Fidon et al., "
    "arXiv:2204.02779) and with spina bifida (Fidon et al., Open Research Europe 1:123, 2021)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help=".safetensors file of SegSRGANLib.training.brain")
    parser.add_argument("--folder", type=Path, default=MODELS, help="of models.json")
    arguments = parser.parse_args()
    entry = release(arguments.weights, arguments.folder)
    print(f"{entry['file']}: {entry['size'] / 1e6:.2f} MB, {entry['sha256']}")


def release(weights: Path, folder: Path) -> dict[str, object]:
    """Check weights, copy them beside models.json and list them there; gives the entry.

    Raises:
        CheckpointError: the file does not hold a brain extractor.
    """
    read_brain_extractor(weights, torch.device("cpu"))
    with atomic_path(folder / FILE) as temporary:
        shutil.copyfile(weights, temporary)
        temporary.chmod(0o644)
    content = (folder / FILE).read_bytes()
    entry = _CARD | {"file": FILE, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path = folder / "models.json"
    listed = json.loads(path.read_text(encoding="utf-8")) | {"brain_extractors": [entry]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return entry


if __name__ == "__main__":
    main()
