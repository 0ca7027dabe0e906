"""A machine that has too little: files that cannot grow, and 2 GB of memory for a large volume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from safetensors.torch import load_file
from support.batch_cohort import OPTIONS, save_tiny_model, write_scan
from support.forked import run_command
from support.training_brains import table, values

resource = pytest.importorskip("resource", reason="limits of a process need a POSIX system")
TWO_GIGABYTES = 2 << 30


@pytest.mark.parametrize("command", ["predict", "batch"])
def test_files_that_cannot_grow_leave_no_result(command, tmp_path):
    """As on a full disk: the system refuses to write on."""
    model, scan = save_tiny_model(tmp_path / "tiny.safetensors"), write_scan(tmp_path / "in" / "a.nii.gz")
    source = scan if command == "predict" else scan.parent
    arguments = (command, str(source), "-o", str(tmp_path / "out"), "-m", str(model), *OPTIONS)
    done = run_command(*arguments, limit=(resource.RLIMIT_FSIZE, 8000))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert str(tmp_path / "out") in said and ".partial-" not in said and ".segsrgan" not in said
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path.name for path in left if not path.name.startswith(("summary", "volumes"))]
    again = run_command(*arguments)
    assert again.returncode == 0 and (tmp_path / "out" / "a_record.json").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 60 kB, and what unmounts it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("only the superuser may mount a disk of memory")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="a disk of memory is Linux's")
@pytest.mark.parametrize("command", ["predict", "batch"])
def test_a_full_disk_is_named_with_what_is_free_and_needed(command, tmp_path, small_disk):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    scan = write_scan(tmp_path / "in" / "a.nii.gz", size=(40, 40, 20))
    source = scan if command == "predict" else scan.parent
    arguments = (command, str(source), "-o", str(small_disk / "out"), "-m", str(model), *OPTIONS)
    done = run_command(*arguments)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1 and "Traceback" not in said
    assert f"{small_disk}/out/a_sr.nii.gz cannot be written (no space left; 0.1 MB free, up to 0.3 MB needed)" in said
    assert "make room there, or choose a folder on another disk" in said
    left = [path.name for path in small_disk.rglob("*") if path.is_file()]
    assert not [name for name in left if not name.startswith(("summary", "volumes"))]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a disk of memory is Linux's")
def test_a_training_on_a_full_disk_stops_and_goes_on_when_there_is_room(tmp_path, small_disk):
    pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")
    table(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values(tmp_path, output=str(small_disk / "run"))))
    arguments = ("train", str(config), "--resume", "--progress", "none")
    done = run_command(*arguments)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1 and said.count("Error: ") == 1 and "Traceback" not in said
    assert f"{small_disk}/run/" in said and "No space left on device" in said and "make room there" in said
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".partial")]
    for path in small_disk.rglob("*.safetensors"):
        assert load_file(path)
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert run_command(*arguments).returncode == 0
    assert load_file(small_disk / "run" / "model.safetensors")


def _limited(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process that has two gigabytes from its beginning on."""
    return subprocess.run(
        [sys.executable, "-m", "SegSRGANLib", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (TWO_GIGABYTES,) * 2),
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def _large_scan(path: Path) -> Path:
    """256 x 256 x 64 voxels of 0.5 x 0.5 x 1.5 mm, in three quarters of them a pattern."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (64, 256, 256)), indexing="ij")
    noise = 20 * np.random.default_rng(0).standard_normal(x.shape)
    inside = x * x + y * y + z * z < 0.75**2
    image = sitk.GetImageFromArray(np.where(inside, 600 + 300 * np.sin(9 * x) * np.cos(7 * y) + noise, 0).astype("f4"))
    image.SetSpacing((0.5, 0.5, 1.5))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process allocates")
@pytest.mark.skipif("SEGSRGAN_LARGE_TESTS" not in os.environ, reason="SEGSRGAN_LARGE_TESTS=1: minutes")
@pytest.mark.parametrize("patch", ["128", "0"])
def test_a_large_volume_finishes_in_two_gigabytes(patch, tmp_path):
    scan = _large_scan(tmp_path / "large.nii.gz")
    arguments = ("predict", str(scan), "-o", str(tmp_path), "--mask", "none", "--spacing", "0.5", "--patch", patch)
    done = _limited(*arguments, "--device", "cpu", "--progress", "none")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "large_record.json").read_text())
    assert record["output"]["size"] == [256, 256, 192]
    assert sitk.GetArrayViewFromImage(sitk.ReadImage(str(tmp_path / "large_sr.nii.gz"))).std() > 100
