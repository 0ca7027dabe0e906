"""The commands and snippets of the documentation, and a folder with everything that they name, small."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from support.batch_cohort import write_scan
from support.stacked_children import Taken, child, stack
from support.training_brains import table

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^```.*?^```\n", re.DOTALL | re.MULTILINE)


def snippets(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The command lines of a page's indented blocks, as words; comments are left out and long lines joined."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8")).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    found = []
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words:
            found.append(words)
    return found


def fill(folder: Path) -> None:
    """Write the files that the documentation's commands name."""
    scan = write_scan(folder / "sub-01_T2w.nii.gz")
    for name in (
        "head.nii.gz",
        "scan.nii.gz",
        "stripped.nii.gz",
        "scans/a.nii.gz",
        "scans/b.nii.gz",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(scan, folder / name)
    image = sitk.ReadImage(str(scan))
    inside = sitk.Cast(image > 0, sitk.sitkUInt8)
    for name in ("brain.nii.gz", "mask.nii.gz"):
        sitk.WriteImage(inside, str(folder / name))
    for dataset in ("BIDS_DATASET", "bids-dataset"):
        raw = folder / dataset / "sub-01" / "anat"
        raw.mkdir(parents=True)
        shutil.copyfile(scan, raw / "sub-01_T2w.nii.gz")
        (folder / dataset / "dataset_description.json").write_text('{"Name": "tiny", "BIDSVersion": "1.10.0"}')
    (folder / "list.csv").write_text("input,mask\nscans/a.nii.gz,mask.nii.gz\n")
    for axis, name in enumerate(("sagittal", "coronal", "axial")):
        sitk.WriteImage(stack(child(6), Taken(axis))[0], str(folder / f"{name}.nii.gz"))
    for axis, run in ((1, "sub-01_run-1"), (2, "sub-01_run-3")):
        for image, kind in zip(stack(child(6), Taken(axis)), ("T2w", "desc-brain_mask"), strict=True):
            sitk.WriteImage(image, str(folder / f"{run}_{kind}.nii.gz"))
    volumes = folder / "benchmarks" / "configs"
    table(volumes)
    rows = [f"sub-{i:02}_T2w.nii,sub-{i:02}_dseg.nii,{i},1.0,0" for i in range(3)]
    (volumes / "newborns.csv").write_text("\n".join(["HR_image,Label_image,Fold,Weight,Averaged", *rows]) + "\n")
    fine = sitk.Resample(image, (16, 18, 31), sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), (0.8, 0.8, 0.8))
    sitk.WriteImage(fine, str(folder / "hr.nii.gz"))
    labels = sitk.GetArrayFromImage(fine)
    labels = np.where(labels > np.median(labels), 5, 1).astype(np.uint8)
    truth = sitk.GetImageFromArray(labels)
    truth.CopyInformation(fine)
    sitk.WriteImage(truth, str(folder / "labels.nii.gz"))


def tiny_models(folder: Path) -> Path:
    """A folder of bundled models in which the default one is tiny."""
    torch.manual_seed(0)
    file = folder / "segsrgan.safetensors"
    network = Generator(GeneratorConfig(2, 1, classes=2))  # several tissues, as the default model has
    save_checkpoint(file, network, ModelCard(title="Tiny", classes=("cortex", "white matter")))
    entry = {"name": "segsrgan", "title": "Tiny", "file": file.name}
    entry |= {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": file.stat().st_size}
    (folder / "models.json").write_text(json.dumps({"models": [entry]}))
    return folder
