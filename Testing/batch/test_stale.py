"""What looks like a finished result and is none: other content under the old names, other options, other files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.batch_cohort import save_tiny_model, write_scan

from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.run import run_batch
from SegSRGANLib.batch.worker import BatchOptions, _other_scans, process
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.inference.record import image_hash
from SegSRGANLib.io.volume import read_volume
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.results.provenance import file_state

PREDICTION = PredictionOptions(16, device="cpu")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"), "cpu")


class Cohort:
    """One volume with a mask, done once."""

    def __init__(self, folder: Path, loaded) -> None:
        self.loaded, self.outdir = loaded, folder / "out"
        self.job = Job(write_scan(folder / "a.nii.gz"), "a", mask=self._mask(folder / "mask.nii.gz", 0))
        self.options = BatchOptions(self.outdir, "tiny", EnhanceOptions(1.0, prediction=PREDICTION))
        assert self.again().status == "done"
        assert self.again().status == "skipped"

    @staticmethod
    def _mask(path: Path, first: int) -> Path:
        values = np.zeros((8, 18, 16), np.uint8)
        values[:, 4:14, first : first + 12] = 1
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((1.0, 1.0, 2.0))
        sitk.WriteImage(image, str(path))
        return path

    def again(self, **changes):
        enhance = changes.pop("enhance", self.options.enhance)
        return process(self.job, replace(self.options, enhance=enhance, **changes), self.loaded)

    def refusal(self, **changes) -> str:
        outcome = self.again(**changes)
        assert outcome.status == "failed" and "--overwrite" in outcome.reason
        assert self.again(overwrite=True, **changes).status == "done"
        assert self.again(**changes).status == "skipped"
        return outcome.reason

    def edit_mask(self) -> None:
        self._mask(self.job.mask, 3)


@pytest.fixture
def cohort(tmp_path, loaded):
    return Cohort(tmp_path, loaded)


def test_a_mask_edited_under_its_name(cohort):
    cohort.edit_mask()
    assert "another mask" in cohort.refusal()


def test_a_mask_that_was_only_touched(cohort):
    os.utime(cohort.job.mask, (1e9, 1e9))
    assert cohort.again().status == "skipped"


def test_a_scan_replaced_by_one_with_an_older_time_stamp(cohort):
    write_scan(cohort.job.source, seed=7)
    os.utime(cohort.job.source, (1e9, 1e9))
    assert "another scan" in cohort.refusal()


@pytest.mark.parametrize("changed", [{"patch": 12}, {"overlap": 0.25}, {"precision": "bfloat16"}])
def test_other_patches(cohort, changed):
    options = EnhanceOptions(1.0, prediction=replace(PREDICTION, **changed))
    assert "other settings" in cohort.refusal(enhance=options)


def test_a_device_or_batch_that_changes_nothing(cohort):
    options = EnhanceOptions(1.0, prediction=replace(PREDICTION, device="auto", batch=2))
    assert cohort.again(enhance=options).status == "skipped"


def test_a_result_that_was_cut_off_or_corrected_by_a_person(cohort):
    path = cohort.outdir / "a_sr.nii.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert "a_sr.nii.gz is not as it was written" in cohort.refusal()


@pytest.mark.parametrize(("more", "files"), [("report", ["a_report.html"]), ("maps", ["a_consistency.nii.gz"])])
def test_outputs_that_are_wanted_later_are_made(cohort, more, files):
    before = (cohort.outdir / "a_sr.nii.gz").read_bytes()
    assert cohort.again(**{more: True}).status == "done"
    assert all((cohort.outdir / name).exists() for name in files)
    assert (cohort.outdir / "a_sr.nii.gz").read_bytes() == before
    assert cohort.again(**{more: True}).status == "skipped"
    assert cohort.again().status == "skipped"


def test_a_missing_file_does_not_cost_a_persons_work(cohort):
    path = cohort.outdir / "a_cortex.nii.gz"
    content = bytearray(path.read_bytes())
    content[4] ^= 1
    path.write_bytes(bytes(content))
    (cohort.outdir / "a_qc.png").unlink()
    assert "a_cortex.nii.gz is not as it was written, and another file" in cohort.refusal()


def test_outputs_that_are_wanted_later_do_not_replace_a_persons_work(cohort):
    path = cohort.outdir / "a_cortex.nii.gz"
    content = bytearray(path.read_bytes())
    content[4] ^= 1  # a byte of gzip's time stamp: the same length
    path.write_bytes(bytes(content))
    assert "a_cortex.nii.gz is not as it was written" in cohort.again(report=True).reason
    assert path.read_bytes() == bytes(content)


@pytest.mark.parametrize("missing", ["input", "model", "options"])
def test_a_record_that_lacks_a_part_is_no_result(cohort, missing):
    path = cohort.outdir / "a_record.json"
    record = json.loads(path.read_text())
    del record[missing]
    path.write_text(json.dumps(record))
    assert cohort.again().status == "done"


def test_overwriting_removes_nothing_that_a_foreign_record_names(cohort):
    path = cohort.outdir / "a_record.json"
    record = json.loads(path.read_text())
    for name in ("precious", "a_dicom", "a_notes.txt"):
        record["files"].append(name)
    record["files"] += ["b_sr.nii.gz", "a_cortex-entropy.nii.gz"]
    for folder in ("precious", "a_dicom"):
        (cohort.outdir / folder).mkdir()
        (cohort.outdir / folder / "thesis.txt").write_text("years of work")
    for name in ("a_notes.txt", "b_sr.nii.gz", "a_cortex-entropy.nii.gz"):
        (cohort.outdir / name).write_text("x")
    path.write_text(json.dumps(record))
    assert cohort.again(overwrite=True).status == "done"
    left = {p.name for p in cohort.outdir.iterdir()}
    assert {"precious", "a_dicom", "a_notes.txt", "b_sr.nii.gz"} <= left
    assert "a_cortex-entropy.nii.gz" not in left  # a file of the earlier result
    assert (cohort.outdir / "precious" / "thesis.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems allow such names")
def test_a_name_that_is_not_utf8_fails_alone(tmp_path, loaded, monkeypatch):
    monkeypatch.setattr("SegSRGANLib.batch.run.load_model", lambda *_: loaded)
    monkeypatch.setattr(
        "SegSRGANLib.batch.run.run_pool", lambda jobs, prepare, *rest: (process(j, options, loaded) for j in jobs)
    )
    options = BatchOptions(tmp_path / "out", "tiny", EnhanceOptions(1.0, prediction=PREDICTION), report=True)
    odd = os.fsdecode(b"caf\xe9.nii.gz")
    jobs = [Job(write_scan(tmp_path / "a.nii.gz"), "a")]
    (tmp_path / odd).write_bytes(b"")
    jobs.append(Job(tmp_path / odd, odd.removesuffix(".nii.gz")))
    outcomes = {outcome.job.name: outcome for outcome in run_batch(jobs, options)}
    assert outcomes["a"].status == "done" and outcomes[jobs[1].name].status == "failed"
    text = (tmp_path / "out" / "summary.tsv").read_text(encoding="utf-8")
    assert "unreadable characters" in text and "\na\t" in text
    assert (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")


def test_other_stacks_or_another_second_stack(cohort, tmp_path):
    job = replace(cohort.job, others=(write_scan(tmp_path / "b.nii.gz", seed=3),))
    record = json.loads(cohort.options.layout.record(job).read_text())
    assert "other stacks" in _other_scans(record, job, cohort.options)
    second = image_hash(read_volume(job.others[0]))
    record["stacks"] = [record["input"], {"file": "b.nii.gz", "state": file_state(job.others[0]), "sha256": second}]
    assert _other_scans(record, job, cohort.options) is None
    write_scan(job.others[0], seed=7)
    os.utime(job.others[0], (1e9, 1e9))
    assert "another scan" in _other_scans(record, job, cohort.options)
