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
from .registry import listed_brain_extractors, models_folder


def has_brain_extractor() -> bool:
    """Whether this installation can find brains by itself."""
    return bool(_entries())


def _entries() -> list[dict[str, str]]:
    return listed_brain_extractors(models_folder())


@functools.lru_cache(maxsize=2)
def load_brain_extractor(device: torch.device) -> BrainExtractor:
    """The bundled network, verified by its checksum.

    Raises:
        CheckpointError: its file is missing, damaged or changed.
    """
    entries = _entries()
    if not entries:
        raise CheckpointError(
            "This installation has no brain extractor: give a brain mask, or say that the volume shows a brain alone "
            "(--mask none)."
        )
    path = models_folder() / entries[0]["file"]
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entries[0]["sha256"]:
        raise CheckpointError(f"The file {path.name} of the brain extractor is missing or damaged; install it again.")
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
