"""Several classes at once, from a training by the shell to the files of a prediction and of a cohort."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.command_line import run
from support.training_brains import brain, table, values, write

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")
pytest.importorskip("typer", reason="the command line needs the extra 'cli'")
pytest.importorskip("matplotlib", reason="pictures need the extra 'report'")

from SegSRGANLib.batch.jobs import find_jobs
from SegSRGANLib.batch.worker import BatchOptions, process
from SegSRGANLib.data.classes import label_map
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.data.patch_simulation import simulate_patch
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.training.setup import make_network
from SegSRGANLib.training.step import Engine, make_fabric
from SegSRGANLib.utils.process_pool import DONE

CLASSES = {"cortex": [5], "white matter": [1], "fluid": 4}
PREDICTION = ("--mask", "none", "--spacing", 0.8, "--patch", 16, "--device", "cpu", "--progress", "none")


def _configuration(folder: Path, **changes) -> Path:
    path = folder / "several.yaml"
    settings = values(folder, classes=CLASSES, epochs=1, **changes)
    del settings["label"]
    path.write_text(json.dumps(settings))  # JSON is YAML
    return path


def _read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a training of a cascade, done by the shell."""
    folder = tmp_path_factory.mktemp("several")
    table(folder)
    from typer.testing import CliRunner

    from SegSRGANLib.cli.app import build

    done = CliRunner().invoke(build(), ["train", str(_configuration(folder)), "--progress", "none"])
    assert done.exit_code == 0, done.output
    return folder


def test_a_training_reports_each_class(trained):
    result = json.loads((trained / "run" / "result.json").read_text())
    dice = result["after"]["class_dice"]
    assert list(dice) == list(CLASSES) and result["subjects"][0]["class_dice"] == dice
    assert result["after"]["dice"] == pytest.approx(sum(dice.values()) / 3)
    assert result["card"]["classes"] == list(CLASSES)
    (row,) = csv.DictReader((trained / "run" / "log.csv").open())
    assert float(row["dice"]) == result["after"]["dice"] and "class_dice" not in row
    assert "mean Dice | network Dice cortex | network Dice white matter" in (trained / "run" / "report.md").read_text()
    assert (trained / "run" / "examples.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_says_its_classes(trained, capfd):
    model = load_checkpoint(trained / "run" / "model.safetensors")
    assert model.classes == tuple(CLASSES) and model.network.config.classes == 3
    status, out, _ = run(capfd, "models", "info", trained / "run" / "model.safetensors")
    assert status == 0 and "cortex, white matter, fluid" in out


def test_predict_writes_every_class(trained, tmp_path, capfd):
    scan, model = trained / "sub-02_T2w.nii", trained / "run" / "model.safetensors"
    status, _, errors = run(capfd, "predict", scan, "-o", tmp_path, "-m", model, "--threshold", 0.05, *PREDICTION)
    assert status == 0, errors
    endings = ["sr", "cortex-probability", "white-matter-probability", "fluid-probability", "segmentation"]
    names = {f"sub-02_T2w_{ending}.nii.gz" for ending in endings} | {"sub-02_T2w_qc.png", "sub-02_T2w_record.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    record = json.loads((tmp_path / "sub-02_T2w_record.json").read_text())
    assert record["classes"] == list(CLASSES)
    likely = np.stack([_read(tmp_path / f"sub-02_T2w_{ending}.nii.gz") for ending in endings[1:4]])
    labels = _read(tmp_path / "sub-02_T2w_segmentation.nii.gz")
    np.testing.assert_array_equal(labels, np.where(likely.max(0) >= 0.05, likely.argmax(0) + 1, 0))
    voxel = 0.8**3 / 1000
    assert record["quality"]["cortex"]["volume_ml"] == pytest.approx((labels == 1).sum() * voxel, abs=1e-3)
    status, _, errors = run(capfd, "predict", scan, "-o", tmp_path, "-m", model, *PREDICTION)
    assert status == 1 and "already there" in errors


def test_a_bids_cohort_lists_every_class(trained, tmp_path):
    anat = tmp_path / "raw" / "sub-01" / "anat"
    write(brain(7)[0], anat / "sub-01_T2w.nii.gz")
    (job,) = find_jobs(tmp_path / "raw", tmp_path / "out")
    options = EnhanceOptions(0.8, prediction=PredictionOptions(16, device="cpu"), uncertainty=2)
    path = trained / "run" / "model.safetensors"
    batch = BatchOptions(tmp_path / "out", str(path), options, maps=True)
    outcome = process(job, batch, load_checkpoint(path))
    assert outcome.status == DONE, outcome.reason
    folder, prefix = tmp_path / "out" / "sub-01" / "anat", "sub-01_space-orig_res-0p8mm"
    for label in ("CGM", "WM", "Fluid"):
        assert (folder / f"{prefix}_label-{label}_desc-segsrgan_probseg.nii.gz").is_file()
        assert (folder / f"{prefix}_label-{label}_desc-segsrgan_probseg.json").is_file()
    rows = (folder / f"{prefix}_desc-segsrgan_dseg.tsv").read_text().splitlines()
    assert rows[1:] == ["1\tCerebral cortex\tCGM", "2\tWhite matter\tWM", "3\tfluid\tFluid"]
    listed = set(outcome.record["files"]) | {f"{prefix}_desc-segsrgan_record.json"}
    assert {item.name for item in folder.iterdir()} == listed


def test_a_plain_cohort_has_the_names_of_predict(trained, tmp_path):
    write(brain(7)[0], tmp_path / "in" / "scan.nii.gz")
    (job,) = find_jobs(tmp_path / "in", tmp_path / "out")
    path = trained / "run" / "model.safetensors"
    options = EnhanceOptions(0.8, prediction=PredictionOptions(16, device="cpu"))
    assert process(job, BatchOptions(tmp_path / "out", str(path), options), load_checkpoint(path)).status == DONE
    written = {item.name for item in (tmp_path / "out").iterdir() if item.name.endswith(".nii.gz")}
    endings = ["sr", "cortex-probability", "white-matter-probability", "fluid-probability", "segmentation"]
    assert written == {f"scan_{ending}.nii.gz" for ending in endings}


def test_fine_tuning_keeps_the_classes(trained, tmp_path, capfd):
    table(tmp_path)
    init = trained / "run" / "model.safetensors"
    status, _, errors = run(capfd, "train", _configuration(tmp_path), "--init", init, "--progress", "none")
    assert status == 0, errors
    tuned = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert tuned.classes == tuple(CLASSES) and "fine-tuned" in tuned.card.title


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ({"cortex": 5}, "segments cortex, white matter, fluid, the configuration cortex; give as many classes"),
        ({"white matter": 1, "cortex": 5, "fluid": 4}, "classes in the order cortex, white matter, fluid"),
    ],
)
def test_a_model_with_other_classes_is_no_start(trained, tmp_path, capfd, classes, sentence):
    table(tmp_path)
    path = tmp_path / "c.json"
    settings = values(tmp_path, classes=classes, label=[], init=str(trained / "run" / "model.safetensors"))
    path.write_text(json.dumps(settings))
    status, _, errors = run(capfd, "train", path, "--progress", "none")
    assert status == 1 and sentence in errors and errors.count("\n") == 1


def test_a_training_resumes_from_its_own_configuration(trained, capfd):
    run_folder = trained / "run"
    status, _, errors = run(capfd, "train", run_folder / "config.json", "--resume", "--epochs", 2, "--progress", "none")
    assert status == 0, errors
    assert [row["epoch"] for row in csv.DictReader((run_folder / "log.csv").open())] == ["1", "2"]
    stored = json.loads((run_folder / "config.json").read_text())
    stored["classes"] = dict(reversed(stored["classes"].items()))
    (trained / "reordered.json").write_text(json.dumps(stored))
    status, _, errors = run(capfd, "train", trained / "reordered.json", "--resume", "--progress", "none")
    assert status == 1 and "begun with another classes" in errors


@pytest.mark.parametrize("architecture", ["cascade", "generator"])
def test_every_class_is_learnt_in_its_own_channel(architecture):
    """One patch, learnt by heart: a mistake in the order of the channels anywhere would show."""
    options = {"filters": 16, "levels": 1, "blocks": 1} if architecture == "cascade" else {"filters": 8, "blocks": 1}
    config = make_config(
        {
            "output": "run", "csv": "none.csv", "classes": CLASSES, "device": "cpu", "simulation": {"patch": 16},
            "network": {"architecture": architecture, "options": options},
            "optimizer": {"batch": 1, "rate": 3e-3, "warmup": 5, "average": 0.9},
        }
    )  # fmt: skip
    engine = Engine(config, make_network(config, None), make_fabric(config))
    intensity, labels = brain(0, 32)
    subject = Subject("brain", intensity / 100, labels, {"cortex": (5,), "white matter": (1,), "fluid": (4,)}, 0.8)
    x, target = simulate_patch(subject, config.simulation, np.random.default_rng(2))
    assert target.shape == (4, 16, 16, 16) and all(target[k].max() > 0.9 for k in (1, 2, 3))
    for step in range(100):
        engine.step(iter([[x[None], target[None]]]), step, step / 100)
    with torch.no_grad():
        y = engine.average.network(x[None])[0]
    found, truth = label_map(y[1:].numpy(), 0.5), label_map(target[1:].numpy(), 0.5)
    for number in (1, 2, 3):
        overlap = 2 * np.sum((found == number) & (truth == number)) / np.sum((found == number) * 1 + (truth == number))
        assert overlap > 0.7, (number, overlap)
