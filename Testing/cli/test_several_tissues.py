"""The commands with a model of several tissues, as the default one is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.command_line import run

from SegSRGANLib.cli import demo
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.results.viewer.study import find_studies
from SegSRGANLib.results.viewer.volumes import scan_payload


@pytest.mark.slow
def test_the_demo_compares_the_cortex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "neonatal_phantom", lambda seed: neonatal_phantom(spacing=3.0, seed=seed))
    torch.manual_seed(0)
    model = tmp_path / "two.safetensors"
    network = Generator(GeneratorConfig(2, 1, classes=2))
    save_checkpoint(model, network, ModelCard(classes=("cortex", "white matter")))
    result = demo.run_demo(tmp_path / "out", model, 9.0, "cpu", 0, False)
    assert 0 <= result.figures["model"]["dice"] <= 1
    assert (tmp_path / "out" / "phantom_segmentation.nii.gz").is_file()
    (study,) = find_studies(tmp_path / "out")  # the viewer shows the scan beside the result
    assert study.scan == tmp_path / "out" / "phantom_thick.nii.gz"
    assert scan_payload(study.scan, study.record["input"]["sha256"])[1]


def test_evaluate_takes_one_label_of_a_segmentation(capfd, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.uniform(1, 2, (14, 14, 14)).astype(np.float32))
    labels = rng.integers(0, 4, (14, 14, 14)).astype(np.uint8)
    for name, array in (("labels", labels), ("truth", np.where(labels == 2, 5, 1).astype(np.uint8))):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"{name}.nii.gz"))
    sitk.WriteImage(image, str(tmp_path / "v.nii.gz"))
    files = ("--sr", tmp_path / "v.nii.gz", "--hr", tmp_path / "v.nii.gz", "--labels", tmp_path / "labels.nii.gz")
    arguments = ("evaluate", *files, "--truth", tmp_path / "truth.nii.gz", "--truth-label", "5", "--json")
    dices = []
    for label in ("1", "2"):
        status, out, error = run(capfd, *arguments, "--label", label)
        assert status == 0, error
        dices.append(json.loads(out)["dice"])
    assert dices == [0.0, 1.0]
