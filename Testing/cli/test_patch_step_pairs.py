"""What the original project's users had: several patch/step pairs in one run, whole-volume mode, brain masks."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.postprocessing import brain_mask
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model, save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.results.files import save_enhancement
from SegSRGANLib.transforms.normalization import Normalization

testing = pytest.importorskip("typer.testing", reason="the cli extra is not installed")


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(blob(awkward_grids()["canonical"], 3.0), str(path))
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "tiny.safetensors", Generator(GeneratorConfig(2, 1)), ModelCard())
    return path


def _predict(scan, *arguments: str):
    from SegSRGANLib.cli.app import build

    fixed = ["predict", str(scan), "-o", str(scan.parent / "out"), "--model", str(scan.parent / "tiny.safetensors")]
    fixed += ["--mask", "none", "--spacing", "1.0", "--device", "cpu", "--progress", "json"]
    return testing.CliRunner().invoke(build(), [*fixed, *arguments])


def test_pairs_write_one_folder_each(scan):
    result = _predict(scan, "--pairs", "16:8, 32:16")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    assert lines[-1]["done"] and "patch-32_step-16/sr" in lines[-1]["files"]
    fractions = [line["fraction"] for line in lines[:-1]]
    assert fractions == sorted(fractions)
    for side in (16, 32):
        record = json.loads((scan.parent / "out" / f"patch-{side}_step-{side // 2}" / "scan_record.json").read_text())
        assert record["options"]["prediction"]["patch"] == side
        assert record["options"]["prediction"]["overlap"] == 0.5


def test_the_warnings_of_all_pairs_are_told_once_each(scan, monkeypatch):
    def warned(image, model, options, **others):
        result = enhance(image, model, options, **others)
        result.record["warnings"] = ["Seen in all.", f"Seen with {options.prediction.patch}."]
        return result

    monkeypatch.setattr(import_module("SegSRGANLib.cli.predict"), "enhance", warned)
    result = _predict(scan, "--pairs", "16:8, 32:16")
    told = [line for line in result.output.splitlines() if line.startswith("Warning: ")]
    assert told == ["Warning: Seen in all.", "Warning: Seen with 16.", "Warning: Seen with 32."]


@pytest.mark.parametrize("pairs", ["64", "64:0", "16:32", "a:b", "", "64:8"])
def test_pairs_that_cannot_be_are_refused(pairs, scan):
    result = _predict(scan, "--pairs", pairs)
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert not (scan.parent / "out").exists()


def test_whole_volume_mode_and_another_interpolator(scan):
    result = _predict(scan, "--patch", "0", "--interpolator", "blackman")
    assert result.exit_code == 0, result.output
    record = json.loads((scan.parent / "out" / "scan_record.json").read_text())
    assert record["prediction"]["plan"].startswith("the whole volume at once")
    assert record["options"]["interpolator"] == "blackman"


def test_the_brain_is_the_largest_connected_part():
    probability = np.zeros((1, 8, 8, 8), np.float32)
    probability[0, :3, :3, :3] = 0.9
    probability[0, 6:, 6:, 6:] = 0.9
    expected = np.zeros((8, 8, 8), np.uint8)
    expected[:3, :3, :3] = 1
    assert np.array_equal(brain_mask(probability), expected)
    assert not brain_mask(np.zeros((1, 4, 4, 4), np.float32)).any()


def test_mask_classes_are_the_most_probable_ones():
    channels = np.random.default_rng(0).random((3, 4, 4, 4), np.float32)
    assert np.array_equal(brain_mask(channels), channels.argmax(axis=0))


def test_a_predicted_brain_mask_is_written_on_the_output_grid(tmp_path):
    class Mask(torch.nn.Module):
        multiple, minimum, segments = 4, 8, True

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.cat([x, 0 * x, (x > 0.2).float()], dim=1)

    scan = blob(awkward_grids()["oblique"], 3.0)
    model = Model(Mask(), ModelCard(normalization=Normalization("maximum")))
    options = EnhanceOptions(0.9, prediction=PredictionOptions(32, device="cpu"), consistency=False)
    result = enhance(scan, model, options)
    assert Grid.of(result.brain) == Grid.of(result.sr)
    inside = sitk.GetArrayFromImage(result.brain) > 0
    assert np.array_equal(inside, sitk.GetArrayFromImage(result.sr) > 0.2 * sitk.GetArrayFromImage(scan).max())
    paths = save_enhancement(result, scan, tmp_path, "scan")
    assert paths["brain"].name == "scan_brain-mask.nii.gz"
    assert paths["brain"].exists()


@pytest.mark.slow
def test_a_batch_makes_every_pair_with_another_interpolator_and_spacing(scan):
    from SegSRGANLib.cli.app import build

    (scan.parent / "list.csv").write_text("input\nscan.nii.gz\n")
    fixed = ["batch", str(scan.parent / "list.csv"), "-o", str(scan.parent / "out"), "--mask", "none"]
    fixed += ["--model", str(scan.parent / "tiny.safetensors"), "--device", "cpu", "--progress", "json"]
    fixed += ["--pairs", "16:8,32:32", "--interpolator", "linear", "--spacing", "1,1,1.5"]
    for counts in ({"done": 2}, {"skipped": 2}):
        result = testing.CliRunner().invoke(build(), fixed)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
        assert lines[-1]["counts"] == counts
        assert set(lines[-1]["files"]) == {"patch-16_step-8/summary", "patch-32_step-32/summary"}
        fractions = [line["fraction"] for line in lines if "fraction" in line]
        assert fractions == sorted(fractions)
    for side, overlap in ((16, 0.5), (32, 0.0)):
        folder = scan.parent / "out" / f"patch-{side}_step-{round(side * (1 - overlap))}"
        options = json.loads((folder / "scan_record.json").read_text())["options"]
        assert (options["prediction"]["patch"], options["prediction"]["overlap"]) == (side, overlap)
        assert options["interpolator"] == "linear"
        assert sitk.ReadImage(str(folder / "scan_sr.nii.gz")).GetSpacing() == pytest.approx((1, 1, 1.5))
        assert (folder / "summary.tsv").is_file()


@pytest.mark.parametrize("spacing", ["1,1", "1,1,x", "1,1,1,1", "1,1,-1", ""])
def test_spacings_that_cannot_be_are_refused(spacing, scan):
    result = _predict(scan, "--spacing", spacing)
    assert result.exit_code == 1 and "spacing" in result.output
    assert not (scan.parent / "out").exists()
