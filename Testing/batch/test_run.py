"""A cohort as its user runs it: bad volumes, interruption, several processes, BIDS."""

import contextlib
import csv
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from support.batch_cohort import OPTIONS, fingerprint, save_tiny_model, write_scan
from support.forked import Command

from SegSRGANLib.batch import run as batch_run
from SegSRGANLib.batch import worker as work
from SegSRGANLib.batch.claims import Claim
from SegSRGANLib.batch.jobs import Job, find_jobs
from SegSRGANLib.batch.run import run_batch
from SegSRGANLib.batch.worker import BatchOptions, process
from SegSRGANLib.cli.app import build
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_volume
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.results import files as results
from SegSRGANLib.results import publication
from SegSRGANLib.utils.process_pool import run_pool

ENHANCE = EnhanceOptions(1.0, prediction=PredictionOptions(16, device="cpu"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def loaded(model):
    return load_model(model, "cpu")


def arguments(source, outdir, model):
    return ["batch", str(source), "-o", str(outdir), "-m", str(model), *OPTIONS]


@pytest.fixture
def run(capfd):
    """Run the command in this process (its workers are processes of their own): status, output, errors."""

    def run(source, outdir, model, *more):
        with pytest.raises(SystemExit) as end:
            build()([*arguments(source, outdir, model), *map(str, more)])
        output = capfd.readouterr()
        return end.value.code or 0, output.out, output.err

    return run


def table(outdir, name="summary.tsv", key="name"):
    with (outdir / name).open(newline="") as stream:
        return {row[key]: row for row in csv.DictReader(stream, delimiter="\t")}


def leftovers(outdir):
    return [p for p in outdir.rglob("*") if p.name.startswith(".") and p.name != ".bidsignore"]


def options(outdir, model, **values):
    return BatchOptions(outdir, str(model), ENHANCE, **values)


def test_bad_volumes_do_not_stop_the_others_and_a_second_run_does_nothing_again(run, tmp_path, model):
    scans = tmp_path / "scans"
    for k in range(2):
        write_scan(scans / f"good{k}.nii.gz", k)
    (scans / "empty.nii.gz").write_bytes(b"")
    (scans / "text.nrrd").write_text("no volume")
    status, _, error = run(scans, tmp_path / "out", model)
    assert status == 1 and "2 of 4 volumes failed" in error and "Traceback" not in error
    rows = table(tmp_path / "out")
    assert {name: row["status"] for name, row in rows.items()} == {
        "good0": "done", "good1": "done", "empty": "failed", "text": "failed",
    }  # fmt: skip
    assert "empty.nii.gz is empty" in rows["empty"]["reason"]
    assert float(rows["good0"]["consistency_db"]) > 0 and float(rows["good0"]["cortex_ml"]) >= 0
    assert leftovers(tmp_path / "out") == []
    (scans / "empty.nii.gz").unlink()
    (scans / "text.nrrd").unlink()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("good*")}
    assert run(scans, tmp_path / "out", model)[0] == 0
    assert {row["status"] for row in table(tmp_path / "out").values()} == {"skipped"}
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("good*")} == before


def _interrupted_until_done(tmp_path, model, kills, volumes, seed):
    """Run a cohort again and again, killing all its processes at random moments; then once to the end."""
    rng = np.random.default_rng(seed)
    outdir = tmp_path / "killed"
    for _ in range(kills):
        before = len(list(outdir.glob("*_record.json")))
        process = Command(*arguments(tmp_path / "scans", outdir, model), "--workers", "2", own_session=True)
        deadline = time.monotonic() + 120  # kill after some results, wherever the next ones then are
        wanted = before + int(rng.integers(1, max(2, volumes // kills)))
        while len(list(outdir.glob("*_record.json"))) < min(wanted, volumes) and time.monotonic() < deadline:
            assert process.poll() in (None, 0, 1)
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.15)))
        if rng.random() < 0.5:
            with contextlib.suppress(ProcessLookupError):  # it was done, and is gone
                os.killpg(process.pid, signal.SIGKILL)
        else:  # its workers live on for a moment, and stop by themselves
            process.kill()
        process.wait()
    return outdir


def _check_resumed(run, tmp_path, model, kills, good, bad):
    volumes = good + bad
    for k in range(good):
        write_scan(tmp_path / "scans" / f"v{k:03}.nii.gz", k)
    for k in range(bad):
        path = write_scan(tmp_path / "scans" / f"x{k:03}.nii.gz", k)
        path.write_bytes(path.read_bytes()[: 200 + 40 * k])
    outdir = _interrupted_until_done(tmp_path, model, kills, volumes, seed=5)
    made = {p.name: p.stat().st_mtime_ns for p in outdir.glob("*_record.json")}
    assert len(made) >= kills
    whole = tmp_path / "whole"
    assert run(tmp_path / "scans", whole, model)[0] == run(tmp_path / "scans", outdir, model)[0] == (1 if bad else 0)
    assert fingerprint(outdir) == fingerprint(whole)
    assert {p.name: p.stat().st_mtime_ns for p in outdir.glob("*_record.json") if p.name in made} == made
    assert sum(row["status"] == "failed" for row in table(outdir).values()) == bad
    assert leftovers(outdir) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_and_resumed_equals_an_uninterrupted_run_byte_for_byte(run, tmp_path, model):
    _check_resumed(run, tmp_path, model, kills=2, good=4, bad=1)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("SEGSRGAN_LARGE_TESTS"),
    reason="200 volumes, killed 20 times; set SEGSRGAN_LARGE_TESTS to run it",
)
def test_a_large_cohort_killed_twenty_times(run, tmp_path, model):
    _check_resumed(run, tmp_path, model, kills=20, good=188, bad=12)


@pytest.mark.slow
def test_two_processes_on_one_folder_share_the_work(run, tmp_path, model):
    for k in range(4):
        write_scan(tmp_path / "scans" / f"v{k}.nii.gz", k)
    outdir = tmp_path / "out"
    both = [Command(*arguments(tmp_path / "scans", outdir, model)) for _ in range(2)]
    assert [process.wait(600) for process in both] == [0, 0], [process.said for process in both]
    assert len(list(outdir.glob("*_record.json"))) == 4 and leftovers(outdir) == []
    single = tmp_path / "single"
    assert run(tmp_path / "scans", single, model)[0] == 0
    assert fingerprint(outdir) == fingerprint(single)


@pytest.mark.slow
@pytest.mark.usefixtures("spawned_workers")  # PyTorch asks for the threads when it is loaded
def test_workers_change_no_bit_when_the_threads_are_given(run, tmp_path, model, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for number in range(3):
        write_scan(tmp_path / "in" / f"{number}.nii.gz", number)
    for workers in ("1", "2"):
        assert run(tmp_path / "in", tmp_path / workers, model, "--workers", workers)[0] == 0
        for number in range(3):
            record = json.loads((tmp_path / workers / f"{number}_record.json").read_text())
            assert record["device"] == "cpu (2 threads)"
    assert fingerprint(tmp_path / "1") == fingerprint(tmp_path / "2")


def test_a_result_is_whole_only_with_all_its_files(tmp_path, model, loaded):
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    choice = options(tmp_path / "out", model)
    assert process(job, choice, loaded).status == "done"
    assert process(job, choice, loaded).status == "skipped"
    (tmp_path / "out" / "a_cortex.nii.gz").unlink()
    assert process(job, choice, loaded).status == "done"
    (tmp_path / "out" / "a_record.json").write_text("{half")
    assert process(job, choice, loaded).status == "done"
    assert len(list((tmp_path / "out").iterdir())) == 5 + 1  # the claims' folder is the batch's to remove


def test_the_picture_is_titled_like_its_volume(tmp_path, model, loaded, monkeypatch):
    titles = []
    draw = results.draw_enhancement
    monkeypatch.setattr(results, "draw_enhancement", lambda *drawn: (titles.append(drawn[3]), draw(*drawn)))
    scan = write_scan(tmp_path / "raw" / "sub-01" / "anat" / "sub-01_T2w.nii.gz")
    (job,) = find_jobs(tmp_path / "raw", tmp_path / "out")
    assert process(job, options(tmp_path / "out", model, report=True), loaded).status == "done"
    assert process(Job(scan, "b"), options(tmp_path / "out", model), loaded).status == "done"
    assert titles == ["sub-01", "b"]


def test_a_result_of_predict_counts(run, capfd, tmp_path, model):
    scan = write_scan(tmp_path / "scans" / "a.nii.gz")
    with pytest.raises(SystemExit) as end:
        build()(["predict", str(scan), "-o", str(tmp_path / "out"), "-m", str(model), *OPTIONS])
    assert not end.value.code
    assert run(tmp_path / "scans", tmp_path / "out", model)[0] == 0
    assert table(tmp_path / "out")["a"]["status"] == "skipped"
    status, _, error = run(tmp_path / "scans", tmp_path / "out", model, "--threshold", 0.3)
    assert status == 1 and "--overwrite" in error


def test_other_settings_are_not_taken_for_the_result(tmp_path, model, loaded):
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    choice = options(tmp_path / "out", model, maps=True)
    assert process(job, choice, loaded).status == "done"
    other = BatchOptions(
        tmp_path / "out", str(model), EnhanceOptions(1.0, threshold=0.4, prediction=ENHANCE.prediction)
    )
    outcome = process(job, other, loaded)
    assert outcome.status == "failed" and "--overwrite" in outcome.reason
    masked = replace(job, mask=write_scan(tmp_path / "mask.nii.gz"))
    assert "--overwrite" in process(masked, choice, loaded).reason
    assert process(job, replace(other, overwrite=True), loaded).status == "done"
    assert not list((tmp_path / "out").glob("*consistency*"))  # a file of the old result


def test_the_result_of_another_scan_is_not_taken_for_the_result(tmp_path, model, loaded):
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    choice = options(tmp_path / "out", model)
    assert process(job, choice, loaded).status == "done"
    later = (tmp_path / "out" / "a_record.json").stat().st_mtime + 60
    os.utime(job.source, (later, later))
    assert process(job, choice, loaded).status == "skipped"  # younger, and the same voxels
    scan = sitk.ReadImage(str(job.source))
    sitk.WriteImage(scan * 1.5, str(job.source))
    os.utime(job.source, (later, later))
    outcome = process(job, choice, loaded)
    assert outcome.status == "failed" and "another scan" in outcome.reason and "--overwrite" in outcome.reason
    assert process(job, replace(choice, overwrite=True), loaded).status == "done"


@pytest.mark.parametrize("step", ["save", "publish"])
def test_a_full_disk_leaves_no_partial_file(tmp_path, model, loaded, monkeypatch, step):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(work, {"save": "save_enhancement", "publish": "_publish"}[step], full)
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    outcome = process(job, options(tmp_path / "out", model), loaded)
    assert outcome.status == "failed" and "No space left" in outcome.reason
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_a_kill_between_two_files_is_not_a_result(tmp_path, model, loaded, monkeypatch):
    """The record comes last, and an old record goes before its files are replaced."""
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    choice = options(tmp_path / "out", model, overwrite=True)
    assert process(job, choice, loaded).status == "done"
    moved, move = [], os.replace

    def killed(source, target):
        if Path(source).parent.parent.name == ".segsrgan":  # from the claim's folder into the batch's
            if moved:
                raise KeyboardInterrupt
            moved.append(target)
        move(source, target)

    monkeypatch.setattr(publication.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        process(job, choice, loaded)
    assert moved and not (tmp_path / "out" / "a_record.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_crashed_worker_takes_only_its_volume_with_it(tmp_path, model):
    """As when the system kills a process that takes too much memory."""
    for name in ("a", "b"):
        write_scan(tmp_path / "scans" / f"{name}.nii.gz")
    looks = []

    def kill_once():
        looks.append(1)
        if len(looks) == 2:  # the first volume has been given out
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        return False

    jobs = find_jobs(tmp_path / "scans", tmp_path / "out")
    rows = {o.job.name: o for o in run_batch(jobs, options(tmp_path / "out", model), should_stop=kill_once)}
    assert [rows[name].status for name in ("a", "b")] == ["failed", "done"]
    assert "SIGKILL" in rows["a"].reason and leftovers(tmp_path / "out") == []


def _no_room(number, workers):
    raise RuntimeError("CUDA out of memory:\n the model does not fit")


def test_a_worker_that_cannot_start_says_why():
    outcomes = list(run_pool(["a", "b"], _no_room, 1))
    assert [(o.job, o.status) for o in outcomes] == [("a", "failed"), ("b", "failed")]
    assert {o.reason for o in outcomes} == {"CUDA out of memory: the model does not fit"}


def test_cancel_ends_with_status_three_and_keeps_what_is_done(run, tmp_path, model):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    (tmp_path / "cancel").touch()
    status, _, error = run(tmp_path / "scans", tmp_path / "out", model, "--cancel-file", str(tmp_path / "cancel"))
    assert status == 3 and "goes on" in error
    assert table(tmp_path / "out")["a"]["status"] == "cancelled" and leftovers(tmp_path / "out") == []


def test_a_claimed_volume_is_waited_for_and_taken_over(tmp_path, model, monkeypatch):
    job = Job(write_scan(tmp_path / "a.nii.gz"), "a")
    outdir = tmp_path / "out"
    owner = Claim(outdir, job.key).held()
    assert owner.__enter__()
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        assert not (outdir / "a_record.json").exists()
        if len(pauses) == 2:
            owner.__exit__(None, None, None)  # the other process dies

    monkeypatch.setattr(batch_run, "time", SimpleNamespace(sleep=pause))
    outcomes = run_batch([job], options(outdir, model))
    assert [o.status for o in outcomes] == ["done"] and len(pauses) == 2


def _validator():
    """The BIDS validator's program beside this Python, or on the path."""
    beside = Path(sys.executable).parent / "bids-validator-deno"
    return str(beside) if beside.exists() else shutil.which("bids-validator-deno")


def test_bids_results_are_a_valid_derivative_dataset(run, tmp_path, model):
    scan = tmp_path / "raw" / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_acq-tse_run-1_T2w.nii.gz"
    write_scan(scan)
    outdir = tmp_path / "derivatives"
    status, _, error = run(tmp_path / "raw", outdir, model, "--maps", "--report")
    assert status == 0, error
    assert (outdir / "summary.html").is_file() and len(list(outdir.rglob("*_report.html"))) == 1
    assert (
        table(outdir, "volumes.tsv", "result")["sub-01/ses-2/anat/sub-01_ses-2_acq-tse_run-1"]["session_id"] == "ses-2"
    )
    assert (outdir / "volumes.json").is_file()
    prefix = outdir / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_acq-tse_run-1_space-orig_res-1mm"
    sr = read_volume(f"{prefix}_desc-segsrgan_T2w.nii.gz")
    assert sr.GetSpacing() == pytest.approx((1, 1, 1))
    labels = sitk.ReadImage(f"{prefix}_desc-segsrgan_dseg.nii.gz")
    assert labels.GetSize() == sr.GetSize()
    if _validator() is None:
        pytest.skip("needs the package bids-validator-deno")
    checked = subprocess.run([_validator(), str(outdir)], capture_output=True, text=True)
    assert checked.returncode == 0 and "ERROR" not in checked.stdout, checked.stdout
    Path(f"{prefix}_desc-segsrgan_dseg.json").rename(outdir / "stray.json")
    assert subprocess.run([_validator(), str(outdir)], capture_output=True).returncode != 0  # it does judge


def test_shards_have_tables_of_their_own(run, tmp_path, model):
    for k in range(2):
        write_scan(tmp_path / "scans" / f"v{k}.nii.gz", k)
    assert run(tmp_path / "scans", tmp_path / "out", model, "--shard", "2/2")[0] == 0
    assert list(table(tmp_path / "out", "summary_shard-2-of-2.tsv")) == ["v1"]


@pytest.mark.parametrize(
    "more, message",
    [(("--workers", "0"), "worker"), (("--shard", "3/2"), "shard"), (("--pattern", "*.mgz"), "mgz"),
     (("--device", "abacus"), "device"), (("--uncertainty", "1"), "uncertainty")],
)  # fmt: skip
def test_bad_options_are_one_sentence(run, tmp_path, model, more, message):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    status, _, error = run(tmp_path / "scans", tmp_path / "out", model, *more)
    assert status == 1 and message in error and error.count("Error: ") == 1
    assert not (tmp_path / "out").exists()
