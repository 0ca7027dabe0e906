"""`segsrgan brain`, and what `predict` and `batch` do with `--mask`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.bright_brain import ball, head, scan_grid, use_bright_brain
from support.command_line import model, run  # noqa: F401 (model is a fixture)

from SegSRGANLib.batch.jobs import find_jobs, with_masks
from SegSRGANLib.batch.worker import BatchOptions, process
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.utils.process_pool import DONE, SKIPPED

_GRID = scan_grid((4.0, 4.0, 8.0))
_FAST = ("--spacing", 4, "--patch", 16, "--device", "cpu", "--progress", "none")


@pytest.fixture(autouse=True)
def _bright(monkeypatch: pytest.MonkeyPatch) -> None:
    use_bright_brain(monkeypatch)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "data/sub-01/anat/sub-01_T2w.nii.gz"
    path.parent.mkdir(parents=True)
    sitk.WriteImage(_GRID.image(head(_GRID)), str(path))
    return path


def _is_on_the_brain(path: Path) -> bool:
    mask = sitk.ReadImage(str(path))
    found, true = sitk.GetArrayFromImage(mask) > 0, ball(_GRID, 30)
    overlap = 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))
    return bool(Grid.of(mask).matches(_GRID) and overlap > 0.9)


def test_brain_writes_a_mask_on_the_scans_grid(capfd: pytest.CaptureFixture, scan: Path, tmp_path: Path) -> None:
    mask = tmp_path / "new/mask.nii.gz"
    status, output, error = run(capfd, "brain", scan, "-o", mask)
    assert status == 0, error
    assert "mL" in output
    assert _is_on_the_brain(mask)
    status, _, error = run(capfd, "brain", scan, "-o", mask)
    assert status == 1
    assert "already there" in error


def test_brain_tells_a_parent_process_its_checks(capfd: pytest.CaptureFixture, scan: Path, tmp_path: Path) -> None:
    status, output, _ = run(capfd, "brain", scan, "-o", tmp_path / "m.nii.gz", "--progress", "json")
    last = json.loads(output.splitlines()[-1])
    assert status == 0
    assert last["done"] is True
    assert last["checks"]["volume_ml"] == pytest.approx(124, rel=0.05)


def test_predict_finds_the_brain_unless_told_otherwise(
    capfd: pytest.CaptureFixture,
    scan: Path,
    tmp_path: Path,
    model: Path,  # noqa: F811
) -> None:
    status, _, error = run(capfd, "predict", scan, "-o", tmp_path / "auto", "-m", model, *_FAST)
    assert status == 0, error
    mask = tmp_path / "auto/sub-01_T2w_brain-mask.nii.gz"
    assert _is_on_the_brain(mask)
    record = json.loads((tmp_path / "auto/sub-01_T2w_record.json").read_text())
    assert record["mask"]["source"] == "found"
    assert record["input"]["mask_file"] is None
    assert mask.name in record["files"]
    cortex = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "auto/sub-01_T2w_cortex-probability.nii.gz")))
    assert cortex[0].max() == 0  # outside of the brain

    status, _, error = run(capfd, "predict", scan, "-o", tmp_path / "given", "-m", model, "--mask", mask, *_FAST)
    assert status == 0, error
    again = json.loads((tmp_path / "given/sub-01_T2w_record.json").read_text())
    assert again["mask"]["source"] == "given"
    assert again["input"]["mask_file"] == mask.name
    assert not (tmp_path / "given" / mask.name).exists()
    same = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "given/sub-01_T2w_cortex-probability.nii.gz")))
    np.testing.assert_array_equal(same, cortex)

    status, _, error = run(capfd, "predict", scan, "-o", tmp_path / "none", "-m", model, "--mask", "none", *_FAST)
    assert status == 0, error
    assert json.loads((tmp_path / "none/sub-01_T2w_record.json").read_text())["mask"]["source"] == "none"
    assert not (tmp_path / "none" / mask.name).exists()


def test_batch_names_masks_as_other_tools_look_for_them(scan: Path, tmp_path: Path, model: Path) -> None:  # noqa: F811
    outdir, loaded = tmp_path / "data/derivatives/segsrgan", load_model(model)
    fast = EnhanceOptions(spacing=4.0, prediction=PredictionOptions(patch=16, device="cpu"))
    (job,) = with_masks(find_jobs(tmp_path / "data", outdir), outdir)
    options = BatchOptions(outdir, str(model), fast, mask="auto")
    outcome = process(job, options, loaded)
    assert outcome.status == DONE, outcome.reason
    mask = outdir / "sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    assert _is_on_the_brain(mask)
    sidecar = json.loads(mask.with_name("sub-01_desc-brain_mask.json").read_text())
    assert sidecar["Type"] == "Brain"
    assert sidecar["Resolution"] == "that of the source"
    assert process(job, options, loaded).status == SKIPPED
    assert "other settings" in process(job, replace(options, mask="none"), loaded).reason
    (edited,) = with_masks([job], outdir, outdir)
    assert process(edited, replace(options, overwrite=True), loaded).record["mask"]["source"] == "given"


def test_batch_takes_the_masks_of_a_dataset(
    capfd: pytest.CaptureFixture,
    scan: Path,
    tmp_path: Path,
    model: Path,  # noqa: F811
) -> None:
    sitk.WriteImage(_GRID.image(ball(_GRID, 28).astype(np.uint8)), str(scan.with_name("sub-01_desc-brain_mask.nii.gz")))
    status, _, error = run(capfd, "batch", tmp_path / "data", "-o", tmp_path / "out", "-m", model, *_FAST)
    assert status == 0, error
    (record,) = (tmp_path / "out").rglob("*_record.json")
    assert json.loads(record.read_text())["mask"]["source"] == "given"
    status, _, error = run(
        capfd, "batch", tmp_path / "data", "-o", tmp_path / "o", "-m", model, "--mask", "m.nii", *_FAST
    )
    assert status == 1
    assert "--mask takes auto or none here" in error
