"""The record that goes with every result: what was done, with what, on what."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import SimpleITK as sitk
import torch

from .. import __version__
from ..data.grid import Grid
from ..models.checkpoint import Model
from ..utils.notice import RESEARCH_USE_ONLY


def describe_run(
    image: sitk.Image, model: Model, device: torch.device, warnings: list[str], timings: dict[str, float]
) -> dict[str, Any]:
    """Everything needed to repeat a run, as JSON values.

    Args:
        image: the input.
        model: that was used.
        device: that it ran on.
        warnings: sentences for the user.
        timings: seconds per step.
    """
    return {
        "notice": RESEARCH_USE_ONLY,
        "software": {
            "segsrgan": __version__,
            "torch": torch.__version__,
            "SimpleITK": sitk.Version.VersionString(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "device": device_name(device),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": {"grid": asdict(Grid.of(image)), "sha256": image_hash(image)},
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "title": model.card.title,
            "training_data": model.card.training_data,
            "citation": model.card.citation,
        },
        "warnings": warnings,
        "seconds": {name: round(value, 3) for name, value in timings.items()},
    }


def name_stacks(record: dict[str, Any], sources: Sequence[dict[str, Any]]) -> None:
    """Note the files of several stacks in their record; nothing to do in the record of a single scan.

    Args:
        record: of the run. sources: of each stack, see `provenance.describe_sources`; of its mask what is known.
    """
    for entry, source in zip(record.get("stacks", ()), sources, strict=False):
        entry |= {key: value for key, value in source.items() if value is not None}


def image_hash(image: sitk.Image) -> str:
    """SHA-256 of a volume's voxels, whatever file they came from."""
    return hashlib.sha256(sitk.GetArrayViewFromImage(image).tobytes()).hexdigest()


def device_name(device: torch.device) -> str:
    """For instance "cuda (NVIDIA H100)" or "cpu (2 threads)"."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return device.type
