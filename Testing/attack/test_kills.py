"""Kills at random moments: a record that is there is whole, and nothing temporary stays.

SEGSRGAN_ATTACK_KILLS=30 kills so many times; without it a few. The searches for files that break a reader lie beside
the readers (`Testing/io/test_readers_fuzz.py`, SEGSRGAN_FUZZ_EXAMPLES=5000).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.batch_cohort import OPTIONS, save_tiny_model, write_scan
from support.forked import Command, run_command
from support.training_brains import table, values

from SegSRGANLib.results.provenance import edited_file, read_record, recorded_files
from SegSRGANLib.utils.atomic_files import _here, atomic_path, staging_folder, sweep_partial

KILLS = int(os.environ.get("SEGSRGAN_ATTACK_KILLS", "0"))
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


def _predict(scan: Path, outdir: Path, model: Path) -> list[str]:
    return ["predict", str(scan), "-o", str(outdir), "-m", str(model), "--mask", "none", "--overwrite", *OPTIONS]


def _is_whole_or_no_result(outdir: Path) -> None:
    """A record stands only beside files that are its own, byte for byte."""
    for record in outdir.glob("*_record.json"):
        assert read_record(record) is not None
        assert len(recorded_files(record)) >= 4 and all(path.exists() for path in recorded_files(record))
        assert edited_file(record) is None


@pytest.mark.slow
def test_predict_overwriting_is_killed(tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    scans = [write_scan(tmp_path / str(k) / "a.nii.gz", k) for k in range(2)]
    outdir, random = tmp_path / "out", np.random.default_rng(0)
    assert run_command(*_predict(scans[1], outdir, model)).returncode == 0
    start = time.monotonic()
    assert run_command(*_predict(scans[0], outdir, model)).returncode == 0
    usual = time.monotonic() - start
    killed = 0
    for k in range(KILLS or 3):
        process = Command(*_predict(scans[(k + 1) % 2], outdir, model))
        time.sleep(usual * random.uniform(0.6, 1.02))  # when files are written and moved
        process.kill()
        killed += process.wait() != 0
        _is_whole_or_no_result(outdir)
    assert killed
    assert run_command(*_predict(scans[0], outdir, model)).returncode == 0
    _is_whole_or_no_result(outdir)
    assert {path.name for path in outdir.iterdir()} == {
        "a_sr.nii.gz", "a_cortex.nii.gz", "a_cortex-probability.nii.gz", "a_qc.png", "a_record.json",
    }  # fmt: skip


def _whole_files(folder: Path) -> None:
    """Whatever stands in a training's folder can be read."""
    for path in folder.glob("[!.]*.safetensors"):
        assert load_file(path)
    for path in folder.glob("[!.]*.json"):
        json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.skipif(not KILLS, reason="SEGSRGAN_ATTACK_KILLS=5 kills a training so many times, in two minutes")
def test_train_is_killed_and_resumed(tmp_path):
    """Killed at random moments and resumed, a training ends with the curve and the weights of an uninterrupted one."""
    pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")
    table(tmp_path)
    folder, random = tmp_path / "run", np.random.default_rng(0)
    (tmp_path / "config.json").write_text(json.dumps(values(tmp_path, epochs=4)))
    command = [sys.executable, "-m", "SegSRGANLib", "train", str(tmp_path / "config.json"), "--progress", "none"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    usual = time.monotonic() - start
    folder.rename(tmp_path / "whole")
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen([*command, "--resume"], **quiet)
        time.sleep(usual * random.uniform(0.4, 1.0))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() != 0
        _whole_files(folder)
    assert killed
    if folder.is_dir():
        (folder / f".partial-{_here()}-{process.pid}-12345678.safetensors").write_bytes(b"half")
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert not list(folder.glob(".partial-*"))
    for name in ("last.safetensors", "model.safetensors"):
        whole, again = load_file(tmp_path / "whole" / name), load_file(folder / name)
        assert all(torch.equal(value, again[key]) for key, value in whole.items())


_LEAVES = """
import os, sys
from pathlib import Path
from SegSRGANLib.utils.atomic_files import atomic_path, staging_folder
folder = Path(sys.argv[1])
with staging_folder(folder) as staging, atomic_path(folder / "model.safetensors") as temporary:
    (staging / "half").write_bytes(b"x")
    temporary.write_bytes(b"x")
    os._exit(9)
"""


def test_what_killed_processes_left_is_swept_and_what_live_ones_write_is_not(tmp_path):
    subprocess.run([sys.executable, "-c", _LEAVES, str(tmp_path)], check=False)
    left = list(tmp_path.glob(".partial-*"))
    assert len(left) == 2
    (tmp_path / ".partial-of-a-person").write_text("kept")
    with staging_folder(tmp_path / "other"), atomic_path(tmp_path / "live") as live:
        live.write_text("live")
        sweep_partial(tmp_path)
        assert live.exists() and not any(path.exists() for path in left)
    assert {path.name for path in tmp_path.iterdir()} == {".partial-of-a-person", "live", "other"}
    far = tmp_path / ".partial-aaaaaa-1-12345678.nii.gz"  # of another machine, an hour and two days old
    far.write_text("x")
    sweep_partial(tmp_path)
    assert far.exists()
    os.utime(far, (time.time() - 2 * 86400,) * 2)
    sweep_partial(tmp_path)
    assert not far.exists()
