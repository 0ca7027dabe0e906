"""Tiny procedural brains on disk, and a configuration that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

CORTEX = 5


def brain(seed: int = 0, side: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Intensity float32 and labels uint8 (z, y, x): white matter 1 in a folded shell of cortex in fluid 4."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, side),) * 3, indexing="ij")
    angle, tilt = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    waves = 0.05 * np.sin(5 * angle + rng.uniform(0, 6)) * np.cos(4 * tilt + rng.uniform(0, 6))
    radius = np.sqrt(x * x + y * y + z * z) + waves
    labels = np.zeros((side,) * 3, np.uint8)
    for label, outer in ((4, 0.85), (CORTEX, 0.68), (1, 0.5)):
        labels[radius < outer] = label
    levels = np.zeros(256, np.float32)
    levels[[4, CORTEX, 1]] = 90, 40, 65
    noise = rng.normal(0, 1.5, labels.shape).astype(np.float32)
    return levels[labels] + np.where(labels > 0, noise, 0).astype(np.float32), labels


def write(array: np.ndarray, path: Path, spacing: float = 0.8) -> Path:
    """Write an array (z, y, x) as a volume."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((spacing,) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def table(folder: Path, bases: tuple[str, ...] = ("Train", "Train", "Test"), side: int = 28) -> Path:
    """Write brains and the CSV that lists them."""
    lines = ["HR_image,Label_image,Base"]
    for index, base in enumerate(bases):
        intensity, labels = brain(index, side)
        write(intensity, folder / f"sub-{index:02}_T2w.nii")
        write(labels, folder / f"sub-{index:02}_dseg.nii")
        lines.append(f"sub-{index:02}_T2w.nii,sub-{index:02}_dseg.nii,{base}")
    path = folder / "subjects.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def values(folder: Path, **changes: Any) -> dict[str, Any]:
    """A configuration of a few steps with a tiny network."""
    return {
        "output": str(folder / "run"),
        "csv": str(folder / "subjects.csv"),
        "label": CORTEX,
        "device": "cpu",
        "epochs": 2,
        "patches_per_subject": 2,
        "network": {"architecture": "cascade", "options": {"filters": 4, "levels": 1, "blocks": 1}},
        "optimizer": {"batch": 2, "warmup": 1, "rate": 1e-3},
        "simulation": {"patch": 16, "factor": [2.0, 3.0]},
        "validation": {"patch": 16, "overlap": 0.0},
        "compute": {"workers": 0, "threads": 1},
        **changes,
    }
