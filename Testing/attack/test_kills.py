"""Kills at random moments: a record that is there is whole, and nothing temporary stays.

SEGSRGAN_ATTACK_KILLS=30 kills so many times; without it a few. The searches for files that break a reader lie beside
the readers (`Testing/io/test_readers_fuzz.py`, SEGSRGAN_FUZZ_EXAMPLES=5000).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.batch_cohort import OPTIONS, save_tiny_model, write_scan

from SegSRGANLib.results.provenance import edited_file, read_record, recorded_files
from SegSRGANLib.utils.atomic_files import atomic_path, staging_folder, sweep_partial

KILLS = int(os.environ.get("SEGSRGAN_ATTACK_KILLS", "0"))
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


def _predict(scan: Path, outdir: Path, model: Path) -> list[str]:
    command = [sys.executable, "-m", "SegSRGANLib", "predict", str(scan), "-o", str(outdir), "-m", str(model)]
    return [*command, "--mask", "none", "--overwrite", *OPTIONS]


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
    start = time.monotonic()
    subprocess.run(_predict(scans[0], outdir, model), check=True, stdout=subprocess.DEVNULL)
    usual = time.monotonic() - start
    killed = 0
    for k in range(KILLS or 3):
        process = subprocess.Popen(
            _predict(scans[(k + 1) % 2], outdir, model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(usual * random.uniform(0.6, 1.02))  # when files are written and moved
        process.send_signal(signal.SIGKILL)
        killed += process.wait() != 0
        _is_whole_or_no_result(outdir)
    assert killed
    subprocess.run(_predict(scans[0], outdir, model), check=True, stdout=subprocess.DEVNULL)
    _is_whole_or_no_result(outdir)
    assert {path.name for path in outdir.iterdir()} == {
        "a_sr.nii.gz", "a_cortex.nii.gz", "a_cortex-probability.nii.gz", "a_qc.png", "a_record.json",
    }  # fmt: skip


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
