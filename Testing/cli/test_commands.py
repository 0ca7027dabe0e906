"""The command as its user runs it: results, exit statuses, and one sentence for each bad input."""

import gzip
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from support.command_line import predict, run
from support.grids import awkward_grids, blob, centroid

from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.worker import BatchOptions, existing
from SegSRGANLib.cli import demo
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_volume
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.networks.srrecnn import SRReCNN, SRReCNNConfig

GRID = awkward_grids()["oblique"]


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "sub-01_T2w.nii.gz"
    sitk.WriteImage(blob(GRID, 4.0) * 100 + 1, str(path))
    return path


def test_predict_writes_five_files_and_equals_the_library(capfd, scan, tmp_path, model):
    status, out, _ = predict(capfd, scan, tmp_path / "out", model, "--progress", "none")
    assert status == 0
    names = ["sr.nii.gz", "cortex-probability.nii.gz", "cortex.nii.gz", "qc.png", "record.json"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"sub-01_T2w_{n}" for n in names)
    assert all(name in out for name in names)
    options = EnhanceOptions(0.9, prediction=PredictionOptions(32, device="cpu"))
    expected = enhance(read_volume(scan), load_checkpoint(model), options)
    written = read_volume(tmp_path / "out" / "sub-01_T2w_sr.nii.gz")
    assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(expected.sr))
    assert Grid.of(written).matches(output_grid(Grid.of(read_volume(scan)), 0.9))
    assert np.linalg.norm(centroid(written) - centroid(expected.sr)) < 0.01
    record = json.loads((tmp_path / "out" / "sub-01_T2w_record.json").read_text())
    assert record["notice"].startswith("Research use only")
    assert record["input"]["file"] == scan.name and record["input"]["mask_file"] is None


def test_predict_says_what_it_will_do_and_takes_the_spacing_of_the_scan(capfd, tmp_path, model):
    grid = Grid((20, 24, 10), (0.8, 0.8, 2.4), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    scan = tmp_path / "a.nii.gz"
    sitk.WriteImage(blob(grid, 4.0) * 100 + 1, str(scan))
    fixed = ("-m", model, "--mask", "none", "--patch", 32, "--device", "cpu", "--progress", "none")
    status, out, err = run(capfd, "predict", scan, "-o", tmp_path / "out", *fixed)
    assert status == 0
    assert "0.8 x 0.8 x 2.4 mm, 10 slices -> 0.8 x 0.8 x 0.8 mm, 20 x 24 x 30 voxels, no mask, 1 patch, about" in err
    assert "GB of memory, on the CPU" in err and "GB" not in out
    assert read_volume(tmp_path / "out" / "a_sr.nii.gz").GetSpacing() == pytest.approx((0.8, 0.8, 0.8))


@pytest.mark.parametrize(
    "spacing, words", [("fine", "one number in mm, or X,Y,Z, or auto"), ("0.001", "cannot be made from slices")]
)
def test_a_spacing_that_makes_no_sense_is_refused(capfd, scan, tmp_path, model, spacing, words):
    fixed = ("-m", model, "--mask", "none", "--device", "cpu", "--progress", "none", "--spacing", spacing)
    status, _, err = run(capfd, "predict", scan, "-o", tmp_path / "out", *fixed)
    assert status == 1 and words in err and err.count("\n") == 1
    assert not list((tmp_path / "out").glob("*"))


def test_the_record_names_the_mask_and_a_batch_tells_it_from_none(capfd, scan, tmp_path, model):
    mask = tmp_path / "mask.nii.gz"
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(scan)) > 20, sitk.sitkUInt8), str(mask))
    assert predict(capfd, scan, tmp_path / "out", model, "--mask", mask, "--progress", "none")[0] == 0
    record = json.loads((tmp_path / "out" / "sub-01_T2w_record.json").read_text())
    assert record["input"]["mask_file"] == "mask.nii.gz"
    choice = BatchOptions(tmp_path / "out", str(model), EnhanceOptions(0.9, prediction=PredictionOptions(32)))
    loaded = load_checkpoint(model)
    assert existing(Job(scan, "sub-01_T2w", mask=mask), choice, loaded).status == "skipped"
    assert existing(Job(scan, "sub-01_T2w"), choice, loaded).status == "failed"


def test_demo_of_a_model_that_does_not_segment(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "plain.safetensors", SRReCNN(SRReCNNConfig(2, 2)), ModelCard(title="Plain"))
    monkeypatch.setattr(demo, "neonatal_phantom", lambda seed: neonatal_phantom(4.0, seed))
    result = demo.run_demo(tmp_path / "out", tmp_path / "plain.safetensors", 8.0, "cpu", 0, False)
    assert "dice" not in result.figures["model"] and result.figures["model"]["psnr"] > 10
    assert result.picture.is_file() and "Dice of cortex" in result.table()


def test_a_map_that_is_already_there_is_found_before_the_work(capfd, scan, tmp_path, model):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub-01_T2w_consistency.nii.gz").touch()
    status, out, error = predict(capfd, scan, tmp_path / "out", model, "--maps", "--progress", "json")
    assert status == 1 and len(out.splitlines()) <= 1 and "consistency.nii.gz is already there" in error


def test_json_progress_for_a_parent_process(capfd, scan, tmp_path, model):
    status, out, _ = predict(capfd, scan, tmp_path / "out", model, "--progress", "json")
    lines = [json.loads(line) for line in out.splitlines()]
    fractions = [line["fraction"] for line in lines if "fraction" in line]
    assert status == 0
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 3
    assert lines[-1]["done"] and set(lines[-1]["files"]) == {"sr", "probability", "labels", "qc", "record"}


def test_cancel_file_stops_and_leaves_nothing(capfd, scan, tmp_path, model):
    (tmp_path / "cancel").touch()
    status, _, error = predict(capfd, scan, tmp_path / "out", model, "--cancel-file", tmp_path / "cancel")
    assert status == 3 and "Cancelled" in error
    assert not (tmp_path / "out").exists()


def test_existing_results_stay(capfd, scan, tmp_path, model):
    assert predict(capfd, scan, tmp_path / "out", model)[0] == 0
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    status, _, error = predict(capfd, scan, tmp_path / "out", model)
    assert status == 1 and "already there" in error and "--overwrite" in error
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert predict(capfd, scan, tmp_path / "out", model, "--overwrite")[0] == 0


def _truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def _array(path, array, spacing=(1.0, 1.0, 2.0)):
    image = sitk.GetImageFromArray(array)
    if array.ndim == 3:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def _headers(path, offset, values):
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[offset : offset + values.nbytes] = values.tobytes()
    path.write_bytes(gzip.compress(bytes(data)))


def _nan(path):
    array = np.ones((8, 9, 10), np.float32)
    array[2, 3, 4] = np.nan
    _array(path, array)


BAD_INPUTS = {
    "missing": lambda p: p.unlink(),
    "empty": lambda p: p.write_bytes(b""),
    "truncated": _truncated,
    "text": lambda p: p.write_text("this is not a volume\n" * 50),
    "several frames": lambda p: _array(p, np.random.default_rng(0).random((3, 8, 9, 10), np.float32)),
    "single slice": lambda p: _array(p, np.random.default_rng(0).random((1, 9, 10), np.float32)),
    "constant": lambda p: _array(p, np.full((8, 9, 10), 5.0, np.float32)),
    "all zero": lambda p: _array(p, np.zeros((8, 9, 10), np.float32)),
    "not a number": _nan,
    "zero spacing": lambda p: _headers(p, 80, np.array([1, 0, 1], "<f4")),
    "huge header": lambda p: _headers(p, 42, np.array([30000] * 3, "<i2")),
}


@pytest.mark.parametrize("spoil", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_input_is_one_sentence_and_nothing_is_written(capfd, scan, tmp_path, model, spoil):
    spoil(scan)
    _refused(predict(capfd, scan, tmp_path / "out", model), tmp_path, scan.name)


def test_truncated_plain_nifti(capfd, scan, tmp_path, model):
    plain = tmp_path / "plain.nii"
    plain.write_bytes(gzip.decompress(scan.read_bytes())[:-200])
    _refused(predict(capfd, plain, tmp_path / "out", model), tmp_path, plain.name)


@pytest.mark.parametrize(
    "more, message",
    [
        (("--patch", 30), "multiples of 4"),
        (("--patch", 4), "at least 8"),
        (("--overlap", 1), "overlap"),
        (("--spacing", 0), "spacing"),
        (("--threshold", 2), "threshold"),
        (("--device", "abacus"), "device"),
        (("--mask", "nowhere.nii.gz"), "nowhere.nii.gz"),
        (("-m", "nonsense"), "nonsense"),
        (("--progress", "dance"), "dance"),
    ],
)
def test_bad_options_are_one_sentence(capfd, scan, tmp_path, model, more, message):
    _refused(predict(capfd, scan, tmp_path / "out", model, *more), tmp_path, message)


def test_damaged_and_foreign_weights(capfd, scan, tmp_path, model):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-500])
    _refused(predict(capfd, scan, tmp_path / "out", damaged), tmp_path, damaged.name)


def test_folder_that_cannot_be_written(capfd, scan, tmp_path, model, monkeypatch):
    locked = SimpleNamespace(
        path=os.path, fsencode=os.fsencode, access=lambda *_: False, W_OK=2, X_OK=1
    )  # the superuser may really write anywhere
    monkeypatch.setattr("SegSRGANLib.results.files.os", locked)
    _refused(predict(capfd, scan, tmp_path / "out", model), tmp_path, "cannot be written")


def test_output_folder_that_is_a_file(capfd, scan, tmp_path, model):
    (tmp_path / "file").write_text("x")
    _refused(predict(capfd, scan, tmp_path / "file", model), tmp_path, "cannot be written")


def _refused(outcome, tmp_path, message):
    status, out, error = outcome
    assert status == 1
    assert out == ""
    sentences = [line for line in error.splitlines() if line.startswith("Error: ")]
    assert len(sentences) == 1 and message in sentences[0] and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_simulate_then_evaluate(capfd, tmp_path):
    fine = output_grid(GRID, 0.8)
    truth = blob(fine, 4.0) * 100
    sitk.WriteImage(truth, str(tmp_path / "hr.nii.gz"))
    sitk.WriteImage(sitk.Cast(truth > 50, sitk.sitkUInt8), str(tmp_path / "labels.nii.gz"))
    arguments = (
        "simulate",
        tmp_path / "hr.nii.gz",
        "-o",
        tmp_path / "lr.nii.gz",
        "--slice-thickness",
        2.4,
        "--axis",
        1,
    )
    assert run(capfd, *arguments)[0] == 0
    assert read_volume(tmp_path / "lr.nii.gz").GetSpacing() == pytest.approx((0.8, 2.4, 0.8))
    assert run(capfd, *arguments)[0] == 1  # already there
    files = {"--labels": "labels", "--truth": "labels", "--sr": "hr", "--hr": "hr"}
    options = [part for option, name in files.items() for part in (option, tmp_path / f"{name}.nii.gz")]
    status, out, _ = run(capfd, "evaluate", *options, "--json")
    assert status == 0
    figures = json.loads(out, parse_constant=pytest.fail)  # no Infinity, which other readers refuse
    assert figures["dice"] == 1.0 and figures["psnr"] is None
    assert "dice" in run(capfd, "evaluate", *options)[1]
    assert run(capfd, "evaluate", *options[:2], *options[4:])[0] == 1  # labels without truth


def test_the_installed_command_starts_without_torch():
    code = "import sys, SegSRGANLib.cli.main; sys.exit('torch' in sys.modules or 'typer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    version = subprocess.run([sys.executable, "-m", "SegSRGANLib", "--version"], capture_output=True, text=True)
    assert version.returncode == 0 and version.stdout.strip()[0].isdigit()


def test_wrong_usage_is_status_two():
    assert subprocess.run([sys.executable, "-m", "SegSRGANLib", "predict"], capture_output=True).returncode == 2


def test_predict_writes_the_pages_with_the_result(capfd, scan, tmp_path, model):
    pytest.importorskip("jinja2")
    status, out, _ = predict(capfd, scan, tmp_path / "out", model, "--progress", "none", "--report")
    page = tmp_path / "out" / "sub-01_T2w_view.html"
    assert status == 0 and str(page) in out and (tmp_path / "out" / "sub-01_T2w_report.html").is_file()
    assert all(f'id="volume-{role}"' in page.read_text() for role in ("scan", "sr", "labels"))
    status, _, error = predict(capfd, scan, tmp_path / "out", model, "--progress", "none", "--report")
    assert status == 1 and "already there" in error


def test_simulate_predict_evaluate_with_slices_that_do_not_divide(capfd, caplog, tmp_path, model):
    """155 slices of 0.8 mm are 51.67 of 2.4 mm: the result has other slices than the truth, unless it is asked for."""
    phantom = neonatal_phantom(spacing=2.0)
    hr, lr = tmp_path / "hr.nii.gz", tmp_path / "lr.nii.gz"
    sitk.WriteImage(phantom.t2w[:, :, :47], str(hr))
    assert run(capfd, "simulate", hr, "-o", lr, "--slice-thickness", "6", "--axis", "2")[0] == 0
    slices = sitk.ReadImage(str(hr)).GetSize()[2]
    assert slices != 3 * sitk.ReadImage(str(lr)).GetSize()[2]
    common = ("-m", model, "--progress", "none", "--mask", "none")
    assert run(capfd, "predict", lr, "-o", tmp_path / "free", *common, "--spacing", "2.0")[0] == 0
    status, out, _ = run(capfd, "evaluate", "--sr", tmp_path / "free" / "lr_sr.nii.gz", "--hr", hr)
    assert status == 0 and "psnr" in out and "compared on the common grid" in caplog.text
    caplog.clear()
    assert run(capfd, "predict", lr, "-o", tmp_path / "like", *common, "--like", hr)[0] == 0
    for name in ("sr", "cortex", "cortex-probability"):
        assert Grid.of(sitk.ReadImage(str(tmp_path / "like" / f"lr_{name}.nii.gz"))).size[2] == slices
    status, *_ = run(capfd, "evaluate", "--sr", tmp_path / "like" / "lr_sr.nii.gz", "--hr", hr)
    assert status == 0 and not caplog.text
    between = sitk.ReadImage(str(hr))
    between.SetOrigin([value + 0.3 for value in between.GetOrigin()])
    sitk.WriteImage(between, str(hr))
    status, _, error = run(capfd, "predict", lr, "-o", tmp_path / "no", *common, "--like", hr)
    assert status == 1 and "cannot have the given grid" in error
