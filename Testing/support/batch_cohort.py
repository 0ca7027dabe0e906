"""A tiny cohort and a tiny model, for the tests of batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

OPTIONS = ("--mask", "none", "--spacing", "1", "--patch", "16", "--device", "cpu", "--progress", "none")


def save_tiny_model(path: Path) -> Path:
    """A random generator of the smallest size."""
    torch.manual_seed(0)
    save_checkpoint(path, Generator(GeneratorConfig(2, 1)), ModelCard(title="Tiny"))
    return path


def write_scan(path: Path, seed: int = 0, size: tuple[int, int, int] = (16, 18, 8)) -> Path:
    """A blurred noise volume, 1 x 1 x 2 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).random(size[::-1], np.float32) * 100 + 10
    image = sitk.DiscreteGaussian(sitk.GetImageFromArray(array), 1.0)
    image.SetSpacing((1.0, 1.0, 2.0))
    sitk.WriteImage(image, str(path))
    return path


def fingerprint(outdir: Path) -> dict[str, object]:
    """Every result below a folder, records without what differs from run to run; hidden files included."""
    found: dict[str, object] = {}
    for path in sorted(p for p in outdir.rglob("*") if p.is_file()):
        name = path.relative_to(outdir).as_posix()
        if name.startswith("summary"):
            continue
        if name.endswith("_record.json"):
            record = json.loads(path.read_text())
            for key in ("date", "seconds", "device", "software", "prediction"):
                record.pop(key)
            found[name] = record
        else:
            found[name] = path.read_bytes()
    return found
