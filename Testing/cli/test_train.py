"""`segsrgan train` as a process: its lines, files and exit statuses, and two processes that equal one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from support.training_brains import table, values

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")
pytest.importorskip("typer", reason="the command line needs the extra 'cli'")

from typer.testing import CliRunner

from SegSRGANLib.training import run_folder as folder_module
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.step import Engine
from SegSRGANLib.training.trainer import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr(folder_module, "try_to_draw", lambda *arguments: None)


def _configuration(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(values(folder, **changes)))
    return str(path)


def _invoke(*arguments):
    from SegSRGANLib.cli.app import build

    return CliRunner().invoke(build(), ["train", *arguments])


def _weights(path):
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def test_a_parent_process_can_follow_a_training(tmp_path):
    table(tmp_path)
    done = _invoke(_configuration(tmp_path, epochs=1), "--progress", "json", "--set", "optimizer.rate=1e-4")
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    fractions = [line["fraction"] for line in lines if "fraction" in line]
    assert fractions == sorted(fractions) and all({"message", "remaining"} <= line.keys() for line in lines[:3])
    (epoch,) = [line for line in lines if "epoch" in line]
    assert epoch.keys() == {"epoch", "loss", "psnr", "psnr_spline", "dice"}
    assert lines[-1]["done"] is True and Path(lines[-1]["files"]["model"]).is_file()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["optimizer"]["rate"] == 1e-4


def test_options_stand_for_a_file(tmp_path):
    path = table(tmp_path)
    settings = values(tmp_path)
    options = ["-o", str(tmp_path / "run"), "--csv", str(path), "--label", "5", "--epochs", "1", "--device", "cpu"]
    for key in ("patches_per_subject", "network", "optimizer", "simulation", "validation", "compute"):
        options += ["--set", f"{key}={json.dumps(settings[key])}"]
    done = _invoke(*options, "--slice-thickness", "1.6", "3", "--title", "Ours", "--progress", "none")
    assert done.exit_code == 0, done.output
    assert "Epoch 1, loss" in done.stdout and "Model: " in done.stdout
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["slice_thickness"] == [1.6, 3.0] and written["title"] == "Ours" and written["label"] == [5]


def test_a_mistake_is_one_sentence_and_status_1(tmp_path):
    table(tmp_path)
    done = _invoke(_configuration(tmp_path, label=9), "--progress", "none")
    assert done.exit_code == 1
    assert done.stderr == "Error: subjects.csv, line 2: sub-00_dseg.nii has no voxel of label 9; it has 1, 4, 5.\n"


def test_the_cancel_file_stops_with_status_3_and_the_training_resumes(tmp_path, monkeypatch):
    table(tmp_path)
    cancel, step = tmp_path / "cancel", Engine.step

    def step_then_cancel(engine, *arguments):
        cancel.touch()
        return step(engine, *arguments)

    configuration = _configuration(tmp_path, epochs=1)
    options = ["--progress", "json", "--cancel-file", str(cancel)]
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "step", step_then_cancel)
        stopped = _invoke(configuration, *options)
    assert stopped.exit_code == 3 and "can be resumed" in stopped.stderr
    assert '"done"' not in stopped.stdout and not (tmp_path / "run" / "model.safetensors").exists()
    cancel.unlink()
    resumed = _invoke(configuration, *options, "--resume")
    assert resumed.exit_code == 0 and (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """The same patches, shared: gradients are averaged, so the weights agree to rounding."""
    table(tmp_path)
    train(make_config(values(tmp_path, output=str(tmp_path / "one"))))
    compute = {"workers": 0, "threads": 1, "processes": 2}
    configuration = _configuration(tmp_path, output=str(tmp_path / "two"), compute=compute)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "SegSRGANLib", "train", configuration, "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model: ") == 1  # the other process is silent
    one, two = (_weights(tmp_path / name / "state.safetensors") for name in ("one", "two"))
    moments = [key for key in one if key.endswith("exp_avg")]
    assert moments and one.keys() == two.keys()
    for key in moments:  # means of the gradients so far
        torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=1e-6, msg=key)
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=2e-5, msg=key)
