"""The child process: protocol, cancelling, and no process left behind."""

import json
import os
import sys
import time

import pytest
from harness.fixtures import HARNESS, cleanScene, logic, models, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Jobs import ChildProcess, EnhanceJob  # isort: skip
from SegSRGANModule.Jobs.ChildProcess import Outcome  # isort: skip
from SegSRGANModule.Scene.ResultNodes import Nodes  # isort: skip
from SegSRGANModule.Settings import EnhanceSettings  # isort: skip


def _isAlive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_console_call_returns_nodes_and_keeps_the_gui_alive(logic, standIn):  # noqa: F811
    import qt

    ticks = []
    timer = qt.QTimer()
    timer.setInterval(20)
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    messages = []
    nodes = logic.enhance(phantoms.node(), EnhanceSettings(spacing=0.8), progress=messages.append)
    timer.stop()
    assert len(ticks) > 5
    assert nodes.volume.GetImageData() is not None
    assert [m["fraction"] for m in messages if "fraction" in m] == [0.1, 0.5]
    assert messages[-1]["done"]


def test_console_call_with_callback_returns_at_once(logic, standIn):  # noqa: F811
    ended = []
    run = logic.enhance(phantoms.node(), completed=lambda outcome, nodes: ended.append((outcome, nodes)))
    assert run.isRunning and not ended
    run.wait()
    outcome, nodes = ended[0]
    assert outcome == Outcome(True, False, "", "")
    assert nodes.segmentation.GetName() == "T2w cortex"


def test_errors_reach_the_console_as_one_sentence(logic, standIn):  # noqa: F811
    standIn("fail")
    with pytest.raises(RuntimeError, match="^The volume is made of cheese; choose one of a brain.$"):
        logic.enhance(phantoms.node())
    source = phantoms.node("other")
    with pytest.raises(ValueError, match="another node"):
        logic.enhance(source, outputs=Nodes(volume=source))


def test_nothing_stays_in_the_temporary_folder_after_failure(logic, standIn):  # noqa: F811
    standIn("fail")
    before = set(os.listdir(slicer.app.temporaryPath))
    with pytest.raises(RuntimeError):
        logic.enhance(phantoms.node())
    assert set(os.listdir(slicer.app.temporaryPath)) == before


def test_cancel_stops_within_a_step(logic, standIn):  # noqa: F811
    standIn("slow")
    ended = []
    run = logic.enhance(phantoms.node(), completed=lambda outcome, nodes: ended.append((outcome, nodes)))
    waitFor(lambda: run._pid is not None)
    start = time.monotonic()
    run.cancel()
    run.wait()
    assert time.monotonic() - start < 2.5  # left alone it takes eight
    assert ended[0][0].cancelled and ended[0][1] is None
    assert not slicer.util.getNodes("*enhanced*")


def test_a_child_that_ignores_cancel_is_ended(logic, standIn, monkeypatch):  # noqa: F811
    monkeypatch.setattr(EnhanceJob, "_GRACE", 200)
    standIn("stubborn")
    run = logic.enhance(phantoms.node(), completed=lambda outcome, nodes: None)
    waitFor(lambda: run._pid is not None)
    run.cancel()
    run.wait()
    assert not _isAlive(run._pid)


def test_kill_ends_the_computation_and_not_only_its_launcher(logic, standIn, monkeypatch, tmp_path):  # noqa: F811
    """Slicer's Python is started by a launcher program, here a shell that waits for its child."""
    standIn("stubborn")
    launcher = tmp_path / "launcher.sh"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "{HARNESS}/stand_in_child.py" "$@"\nexit $?\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(ChildProcess, "command", lambda script: [str(launcher)])
    run = logic.enhance(phantoms.node(), completed=lambda outcome, nodes: None)
    waitFor(lambda: run._pid is not None)
    assert run._pid != run._process.pid
    run.kill()
    waitFor(lambda: not _isAlive(run._pid), seconds=4)  # left alone it takes eight
    waitFor(lambda: not run.isRunning)
    assert not _isAlive(run._process.pid)


def test_a_child_killed_from_outside_is_an_error(logic, standIn):  # noqa: F811
    standIn("slow")
    ended = []
    run = logic.enhance(phantoms.node(), completed=lambda outcome, nodes: ended.append(outcome))
    waitFor(lambda: run._pid is not None)
    os.kill(run._pid, 9)
    run.wait()
    assert "ended unexpectedly (status -9)" in ended[0].error


def test_folder_of_files(logic, standIn, tmp_path):  # noqa: F811
    import SimpleITK as sitk

    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    with pytest.raises(ValueError, match="holds no volume"):
        logic.enhanceFolder(source, target)
    for name in ("a.nii.gz", "b.nrrd", "notes.txt"):
        (source / name).write_text("") if name.endswith("txt") else sitk.WriteImage(
            phantoms.image(), str(source / name)
        )
    settings = EnhanceSettings(spacing=0.8)
    results = logic.enhanceFolder(source, target, settings)
    assert [path.name for path in results] == ["a_sr.nii.gz", "b_sr.nii.gz"]
    assert all(path.is_file() for path in results)
    stamp = results[0].stat().st_mtime_ns
    (target / "b_record.json").unlink()
    logic.enhanceFolder(source, target, settings)
    assert results[0].stat().st_mtime_ns == stamp and (target / "b_record.json").is_file()  # done work is not repeated
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(ValueError, match="would be taken for scans"):
        logic.enhanceFolder(source, source / ".." / "in")
    standIn("fail")
    (target / "b_record.json").unlink()
    with pytest.raises(RuntimeError, match="made of cheese"):
        logic.enhanceFolder(source, target, settings)


def test_the_launcher_runs_the_library(tmp_path):
    import subprocess

    import SegSRGANLib

    *start, script = ChildProcess.command()
    done = subprocess.run([*start, script, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    first, *rest = done.stdout.splitlines()
    assert json.loads(first)["pid"] > 0
    assert done.returncode == 0, done.stderr
    assert SegSRGANLib.__version__ in rest[0]
