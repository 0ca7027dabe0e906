"""The bundled brain extractor: the file that models.json names, and its network."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..networks.brain_extractor import BrainExtractor, BrainExtractorConfig
from ..utils.errors import CheckpointError
from .registry import listed_brain_extractors, models_folder, user_models_folder


def has_brain_extractor() -> bool:
    """Whether this installation can find brains by itself."""
    return bool(_entries())


def _entries() -> list[dict[str, str]]:
    return listed_brain_extractors(models_folder())


def bundled_brain_extractor() -> dict[str, str]:
    """What models.json says of the bundled brain extractor: name, title, licence, training data, file, sha256.

    Raises:
        CheckpointError: there is none.
    """
    entries = _entries()
    if not entries:
        raise CheckpointError(
            "This installation has no brain extractor: give a brain mask, or say that the volume shows a brain alone "
            "(--mask none)."
        )
    return entries[0]


@functools.lru_cache(maxsize=2)
def load_brain_extractor(device: torch.device) -> BrainExtractor:
    """The bundled network, verified by its checksum.

    Raises:
        CheckpointError: its file is missing, damaged or changed.
    """
    entry = bundled_brain_extractor()
    path = models_folder() / entry["file"]
    if not path.is_file():  # a package without weights
        path = user_models_folder() / f"{entry['name']}.safetensors"
    if not path.is_file():
        raise CheckpointError(
            "The brain extractor is missing: run  segsrgan models download brain-extractor  or give a brain mask "
            "(--mask FILE, or none where the volume shows a brain alone)."
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise CheckpointError(f"The file {path} of the brain extractor is damaged; install it again.")
    return read_brain_extractor(path, device)


def read_brain_extractor(path: Path, device: torch.device) -> BrainExtractor:
    """A network from a .safetensors file of `training.brain`.

    Raises:
        CheckpointError: the file is not one.
    """
    try:
        with safe_open(path, "pt") as stored:
            config = json.loads((stored.metadata() or {})["config"])
            network = BrainExtractor(BrainExtractorConfig(tuple(config["channels"])))
            network.load_state_dict({key: stored.get_tensor(key).float() for key in stored.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path.name} does not hold a brain extractor ({error}).") from error
    return network.to(device).eval().requires_grad_(False)
