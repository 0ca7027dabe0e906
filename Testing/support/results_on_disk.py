"""Results as they lie on disk, small and known voxel by voxel, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.inference.record import image_hash

SIDE = 24
# (x, y, z) index ranges of the labelled block: at the patient's right, anterior, superior of the middle
BLOCK = ((3, 9), (4, 10), (14, 20))


def write_result(folder: Path, name: str, maps: bool = True, **record: Any) -> Path:
    """Write scan, super-resolved volume, block of cortex, maps and record; the record's path is returned.

    Voxels are 1 mm; index axes run left, posterior, superior (LPS), so a low x is the patient's right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    z, y, x = np.indices((SIDE, SIDE, SIDE))
    values = (100 + 2 * x + y + z).astype(np.float32)
    block = np.zeros(values.shape, np.uint8)
    block[tuple(slice(*span) for span in reversed(BLOCK))] = 1
    files = {"sr": values, "cortex": block}
    if maps:
        files["consistency"] = np.where(block > 0, -6.0, 0.0).astype(np.float32)
    for role, array in files.items():
        sitk.WriteImage(_image(array, 1.0), str(folder / f"{name}_{role}.nii.gz"))
    scan = _image(values.reshape(SIDE // 3, 3, SIDE, SIDE).mean(axis=1), 3.0)
    sitk.WriteImage(scan, str(folder / f"{name}.nii.gz"))
    grid = {"size": scan.GetSize(), "spacing": scan.GetSpacing(), "origin": scan.GetOrigin()}
    values = {
        "notice": "Research use only.",
        "software": {"segsrgan": "0", "torch": "0"},
        "device": "cpu",
        "date": "2026-01-01",
        "input": {"grid": grid, "sha256": image_hash(scan), "file": f"{name}.nii.gz"},
        "model": {"name": "m", "title": "Model", "sha256": "0" * 64},
        "warnings": [],
        "seconds": {"total": 1.0},
        "classes": ["cortex"],
        "quality": {
            "consistency": {"psnr": 40.0, "z_max": 6.0, "z_max_position_lps": [-6.0, -5.0, 4.0]},
            "cortex": {"volume_ml": 0.216},
        },
        "files": [f"{name}_{role}.nii.gz" for role in files],
    }
    path = folder / f"{name}_record.json"
    path.write_text(json.dumps(values | record))
    return path


def _image(array: np.ndarray, thickness: float) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, thickness))
    middle = (SIDE - 1) / 2
    image.SetOrigin((-middle, -middle, -middle + (thickness - 1) / 2))
    return image
