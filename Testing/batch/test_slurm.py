"""A cohort on a cluster: a real SLURM of one machine, see `slurm_cluster.py`; it is skipped where there is none."""

import csv
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import slurm_cluster
from support.batch_cohort import OPTIONS, fingerprint, save_tiny_model, write_scan

from SegSRGANLib.batch.jobs import Job, find_jobs
from SegSRGANLib.batch.slurm import array as slurm_array
from SegSRGANLib.batch.slurm.allocation import Allocation
from SegSRGANLib.batch.slurm.submit import run_on_slurm
from SegSRGANLib.batch.worker import BatchOptions, process
from SegSRGANLib.cli.app import build
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.utils.process_pool import CANCELLED, Outcome


@pytest.fixture(scope="module")
def cluster():
    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    pytest.importorskip("submitit")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # short: SLURM's sockets are in it
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        try:
            stack.enter_context(slurm_cluster.running_cluster(folder))
        except slurm_cluster.NotStarted as error:
            pytest.skip(f"SLURM does not start on this machine: {error}")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(slurm_array, "_PERIOD", 0.5)
    monkeypatch.setattr(slurm_array, "_SETTLE", 1.0)


@pytest.fixture
def run(capfd, model):
    def run(source, outdir, *more):
        with pytest.raises(SystemExit) as end:
            build()(["batch", str(source), "-o", str(outdir), "-m", str(model), *OPTIONS, *map(str, more)])
        output = capfd.readouterr()
        return end.value.code or 0, output.out, output.err

    return run


def rows(outdir):
    with (outdir / "summary.tsv").open(newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream, delimiter="\t")}


def asked(model, outdir):
    return BatchOptions(outdir, str(model), EnhanceOptions(1.0, prediction=PredictionOptions(16, device="cpu")))


@pytest.mark.slow
def test_one_process_two_processes_and_slurm_give_equal_files(cluster, run, tmp_path):
    for k in range(4):
        write_scan(tmp_path / "scans" / f"v{k}.nii.gz", k)
    (tmp_path / "scans" / "bad.nrrd").write_text("no volume")
    ways = {"one": (), "two": ("--workers", 2), "slurm": ("--slurm", "array=2,partition=brains,time=10,cpus=1")}
    ends = {name: run(tmp_path / "scans", tmp_path / name, *more) for name, more in ways.items()}
    for status, _, error in ends.values():
        assert status == 1 and "1 of 5 volumes failed" in error and error.count("\n") == 2, error
    tables = {name: rows(tmp_path / name) for name in ways}
    for name, row in tables["one"].items():
        for other in ("two", "slurm"):
            assert {**tables[other][name], "seconds": row["seconds"]} == row
    assert {path.suffix for path in (tmp_path / "slurm" / "slurm").rglob("*") if path.is_file()} == {
        ".sh",
        ".out",
        ".err",
    }
    assert sorted(path.name for path in (tmp_path / "slurm").glob("*_shard-*")) == []
    shutil.rmtree(tmp_path / "slurm" / "slurm")
    one = fingerprint(tmp_path / "one")
    assert len(one) == 4 * 5 + 2 and one == fingerprint(tmp_path / "two") == fingerprint(tmp_path / "slurm")
    (tmp_path / "scans" / "bad.nrrd").unlink()
    status, output, _ = run(tmp_path / "scans", tmp_path / "slurm", *ways["slurm"])  # needs no job any more
    assert (status, output.split(";")[0]) == (0, "4 skipped") and not (tmp_path / "slurm" / "slurm").exists()


@pytest.mark.slow
def test_cancelled_jobs_end_and_what_is_done_stays(cluster, model, tmp_path):
    for k in range(12):
        write_scan(tmp_path / "scans" / f"v{k:02}.nii.gz", k, (40, 40, 24))
    outdir, messages = tmp_path / "out", []
    jobs = find_jobs(tmp_path / "scans", outdir)
    outcomes = run_on_slurm(
        jobs,
        asked(model, outdir),
        Allocation(1, time="10"),
        progress=lambda fraction, message: messages.append((fraction, message)),
        should_stop=lambda: any(outdir.glob("*_record.json")),
    )
    done = {outcome.job.name for outcome in outcomes if outcome.status == "done"}
    assert done and {o.status for o in outcomes} == {"done", "cancelled"}
    assert {path.name.removesuffix("_record.json") for path in outdir.glob("*_record.json")} == done
    slurm_cluster.wait_until_idle()  # a cancelled job that has answered takes a moment to end
    assert not (outdir / ".segsrgan").exists() and rows(outdir)["v11"]["status"] == "cancelled"
    assert messages[0][0] == 0 and any("1 busy" in message for _, message in messages)


@pytest.mark.slow
def test_a_job_that_dies_without_a_word_is_reported_with_its_log(cluster, model, tmp_path):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    outdir = tmp_path / "out"

    def kill() -> bool:
        subprocess.run(["scancel", "--signal=KILL", "--user=root"], capture_output=True)
        return False

    jobs = find_jobs(tmp_path / "scans", outdir)
    (outcome,) = run_on_slurm(jobs, asked(model, outdir), Allocation(3, time="10"), should_stop=kill)
    assert outcome.status == "failed" and "gave no answer" in outcome.reason
    assert Path(outcome.reason.split("see ")[1]).parent.is_relative_to(outdir / "slurm")


@pytest.mark.parametrize(
    ("asked", "words"),
    [("array=2,partition=nowhere", "artition"), ("array=1,time=soon", "time"), ("array=1,mem=much", "mem")],
)
def test_what_slurm_refuses_is_one_sentence(cluster, run, tmp_path, asked, words):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    status, _, error = run(tmp_path / "scans", tmp_path / "out", "--slurm", asked)
    assert status == 1 and error.count("\n") == 1 and words in error and f"--slurm {asked.split(',')[0]}" in error
    assert not (tmp_path / "out" / "slurm").exists() and rows(tmp_path / "out")["a"]["status"] == "cancelled"


def test_without_slurm_one_sentence_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    write_scan(tmp_path / "scans" / "a.nii.gz")
    status, _, error = run(tmp_path / "scans", tmp_path / "out", "--slurm", "array=2")
    assert status == 1 and error.count("\n") == 1 and "SLURM is not available" in error


def test_an_allocation_is_its_text():
    text = "array=8,partition=gpu,account=lab,qos=long,time=04:00:00,mem=16G,cpus=4,gpus=1"
    assert str(Allocation.parse(text)) == text
    assert Allocation.parse(" gpus=1 , array=2") == Allocation(2, gpus=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [("partition=gpu", "number of jobs"), ("array=0", "'0'"), ("array=two", "'two'"), ("array=2,gpus=-1", "gpus"),
     ("array=2,nodes=3", "'nodes=3'"), ("array=2,mem=", "'mem='"), ("", "name=value"), ("array=²", "array")],
)  # fmt: skip
def test_bad_allocations_are_one_sentence(text, words):
    with pytest.raises(ValueError, match=words):
        Allocation.parse(text)


def test_slurm_and_shard_do_not_go_together(run, tmp_path):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    status, _, error = run(tmp_path / "scans", tmp_path / "out", "--slurm", "array=2", "--shard", "1/2")
    assert status == 1 and "--shard" in error


class _Given:
    """What a share needs of submitit's job."""

    def __init__(self, folder, answer=()):
        self.job_id, self.paths, self.stderr = "7_0", self, folder / "log.err"
        self.result_pickle, self._answer = folder / "result", answer

    def result(self):
        return self._answer


def test_a_share_is_over_when_it_answered_or_slurm_gave_it_up(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(slurm_array.time, "monotonic", lambda: clock[0])
    share = slurm_array.Share([], "1/1", _Given(tmp_path))
    assert not share.is_over({"7_0": "RUNNING"}, 15)
    assert not share.is_over({"7_0": "NODE_FAIL"}, 15)
    assert not share.is_over({"7_0": "PENDING"}, 15)  # started again
    assert not share.is_over({"7_0": "TIMEOUT"}, 15)
    clock[0] += 10
    assert not share.is_over({}, 15) and share.state == "TIMEOUT"  # no word from SLURM at the moment
    clock[0] += 6
    assert share.is_over({}, 15)
    share = slurm_array.Share([], "1/1", _Given(tmp_path))
    (tmp_path / "result").touch()
    assert share.is_over({"7_0": "RUNNING"}, 15)


def test_what_slurm_stops_has_failed_and_a_finished_volume_of_a_dead_job_is_done(model, tmp_path):
    """A time limit lets the job answer; a lost node does not, but the result of a volume may be there."""
    jobs = [Job(write_scan(tmp_path / f"{name}.nii.gz"), name) for name in "abc"]
    choice, loaded = asked(model, tmp_path / "out"), load_model(model, "cpu")
    array = slurm_array.SlurmArray(jobs, choice, loaded)
    answer = [process(jobs[0], choice, loaded), Outcome(jobs[1], CANCELLED, "stopped on request")]
    share = slurm_array.Share(jobs, "1/1", _Given(tmp_path, answer))
    array.shares = [share]
    (tmp_path / "result").touch()
    found = array.outcomes()
    assert [found[job].status for job in jobs] == ["done", "failed", "failed"]
    assert "time limit" in found[jobs[1]].reason and "gave no answer" in found[jobs[2]].reason
    (tmp_path / "result").unlink()
    found = array.outcomes()
    assert [found[job].status for job in jobs] == ["done", "failed", "failed"]
    assert found[jobs[0]].record["quality"] and str(tmp_path / "log.err") in found[jobs[1]].reason
