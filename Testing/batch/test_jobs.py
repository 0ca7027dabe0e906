"""What a batch finds to do, where its results go, and who may make them."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import fuzz

from SegSRGANLib.batch import claims
from SegSRGANLib.batch.claims import Claim, sweep
from SegSRGANLib.batch.jobs import find_jobs, shard
from SegSRGANLib.batch.layout import Layout


def _keys(jobs):
    return [job.key for job in jobs]


def _touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folder_with_everything_in_it(tmp_path):
    _touch(tmp_path / "a.nii.gz", tmp_path / "deep" / "b.NRRD", tmp_path / "notes.txt", tmp_path / ".hidden" / "c.nii")
    _touch(tmp_path / "out" / "a_sr.nii.gz", tmp_path / "deep" / "._b.nrrd")
    (tmp_path / "dicom" / "T2").mkdir(parents=True)
    for k in range(2):
        (tmp_path / "dicom" / "T2" / f"IM{k}").write_bytes(bytes(128) + b"DICM")
    jobs = find_jobs(tmp_path, tmp_path / "out")
    assert _keys(jobs) == ["a", "deep/b", "dicom/T2"]
    assert jobs[2].source == tmp_path / "dicom" / "T2"
    assert _keys(find_jobs(tmp_path, tmp_path / "out", "*.NRRD")) == ["deep/b"]


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_results_are_no_jobs_however_their_folder_is_named(tmp_path):
    _touch(tmp_path / "data" / "a.nii.gz", tmp_path / "data" / "s" / "b.nii", tmp_path / "data" / "out" / "a_sr.nii.gz")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for outdir in ("data/out", "data/s/../out", "link/out"):
        assert _keys(find_jobs(tmp_path / "data", tmp_path / outdir)) == ["a", "s/b"]


@pytest.mark.parametrize("scan", ["s/b.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz"])
def test_results_do_not_go_among_the_scans(tmp_path, scan):
    """The next run would take them for scans."""
    _touch(tmp_path / "data" / scan)
    with pytest.raises(ValueError, match="another folder"):
        find_jobs(tmp_path / "data", tmp_path / "data")


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_links_of_an_annex_keep_their_names(tmp_path):
    _touch(tmp_path / "annex" / "MD5E-s1--ab.nii.gz")
    anat = tmp_path / "raw" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_T2w.nii.gz").symlink_to(tmp_path / "annex" / "MD5E-s1--ab.nii.gz")
    assert _keys(find_jobs(tmp_path / "raw", tmp_path / "out")) == ["sub-01/anat/sub-01"]


def test_one_name_with_two_formats_gives_two_results(tmp_path):
    _touch(tmp_path / "a.nii.gz", tmp_path / "a.nrrd", tmp_path / "A.mha")
    assert _keys(find_jobs(tmp_path, tmp_path / "out")) == ["A.mha", "a.nii.gz", "a.nrrd"]


def test_table_with_header(tmp_path, monkeypatch):
    monkeypatch.setenv("SCANS", "scans")
    (tmp_path / "list.csv").write_text(
        "mask,input,output\n\n,$SCANS/1/T2w.nii.gz,\nm.nii.gz,scans/2/T2w.nii.gz,\n,x.nrrd,site/sub-1.nii.gz\n"
    )
    jobs = find_jobs(tmp_path / "list.csv", tmp_path / "out")
    assert _keys(jobs) == ["1/T2w", "2/T2w", "site/sub-1"]
    assert jobs[0].source == tmp_path / "scans" / "1" / "T2w.nii.gz" and jobs[0].mask is None
    assert jobs[1].mask == tmp_path / "m.nii.gz"


def test_list_of_the_original_project(tmp_path):
    """One quoted path a line, no header; a line may be there twice."""
    (tmp_path / "list.csv").write_text('"/data/a.nii.gz"\n"/data/a.nii.gz"\n"/data/b.nii.gz"\n')
    assert _keys(find_jobs(tmp_path / "list.csv", tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("input,weight\na,b\n", "weight"),
        ("input,output\na.nii,../b\n", "below"),
        ("input,output\na.nii,/b\n", "below"),
        ("input,mask,output\na.nii,m.nii,x\na.nii,n.nii,x\n", "one result"),
        ("", "no volume"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        find_jobs(tmp_path / "list.csv", tmp_path)


@fuzz
@given(st.one_of(st.binary(max_size=300), st.text(alphabet='input,mask/.\\"\n\r$~ \0', max_size=120).map(str.encode)))
def test_any_table_is_jobs_or_one_sentence(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    try:
        jobs = find_jobs(tmp_path / "list.csv", tmp_path / "out")
    except ValueError as error:
        assert str(error).count("\n") == 0
    else:
        assert len({job.key.lower() for job in jobs}) == len(jobs) > 0
        outdir = (tmp_path / "out").resolve()
        assert all((outdir / job.key).resolve().is_relative_to(outdir) for job in jobs if "\0" not in job.key)


@pytest.mark.parametrize("name", ["nowhere", "scan.nii.gz"])
def test_inputs_that_are_no_cohort(tmp_path, name):
    _touch(tmp_path / "scan.nii.gz")
    with pytest.raises(ValueError, match=name):
        find_jobs(tmp_path / name, tmp_path)


def test_bids_takes_t2w_images_and_keeps_all_entities(tmp_path):
    anat = tmp_path / "raw" / "sub-01" / "ses-2" / "anat"
    _touch(anat / "sub-01_ses-2_acq-tse_run-1_T2w.nii.gz", anat / "sub-01_ses-2_T1w.nii.gz")
    _touch(tmp_path / "raw" / "derivatives" / "x" / "sub-01" / "anat" / "sub-01_desc-y_T2w.nii.gz")
    jobs = find_jobs(tmp_path / "raw", tmp_path / "out")
    assert _keys(jobs) == ["sub-01/ses-2/anat/sub-01_ses-2_acq-tse_run-1"]
    layout = Layout(tmp_path / "out", (0.5, 0.5, 0.5))
    names = {role: layout.path(jobs[0], role).name for role in ("sr", "labels", "probability")}
    prefix = "sub-01_ses-2_acq-tse_run-1_space-orig_res-0p5mm"
    assert names == {
        "sr": f"{prefix}_desc-segsrgan_T2w.nii.gz",
        "labels": f"{prefix}_desc-segsrgan_dseg.nii.gz",
        "probability": f"{prefix}_label-CGM_desc-segsrgan_probseg.nii.gz",
    }
    assert layout.record(jobs[0]).parent == tmp_path / "out" / "sub-01" / "ses-2" / "anat"


def test_images_of_a_derived_dataset_have_results_of_their_own(tmp_path):
    """As in the dHCP: what differs in entities that our results have, too, must not be taken for one image."""
    anat = tmp_path / "dhcp" / "sub-01" / "anat"
    for middle in ("", "_desc-restore", "_space-T1w", "_res-high_desc-restore"):
        _touch(anat / f"sub-01{middle}_T2w.nii.gz")
    layout = Layout(tmp_path / "out", (0.5, 0.5, 0.5))
    names = [layout.path(job, "sr").name for job in find_jobs(tmp_path / "dhcp", tmp_path / "out")]
    assert len(set(names)) == 4
    assert "sub-01_space-orig_res-0p5mm_desc-restoreSegsrgan_T2w.nii.gz" in names


def test_one_bids_image_in_two_formats_is_one_sentence(tmp_path):
    anat = tmp_path / "raw" / "sub-01" / "anat"
    _touch(anat / "sub-01_T2w.nii.gz", anat / "sub-01_T2w.nii")
    with pytest.raises(ValueError, match="one result"):
        find_jobs(tmp_path / "raw", tmp_path / "out")


def test_shards_share_everything(tmp_path):
    (tmp_path / "list.csv").write_text("".join(f"v{k:02}.nii\n" for k in range(11)))
    jobs = find_jobs(tmp_path / "list.csv", tmp_path)
    parts = [shard(jobs, f"{i}/4") for i in (1, 2, 3, 4)]
    assert sorted(_keys(sum(parts, []))) == _keys(jobs) and max(map(len, parts)) - min(map(len, parts)) <= 1
    for bad in ("0/4", "5/4", "1", "a/b"):
        with pytest.raises(ValueError, match="shard"):
            shard(jobs, bad)


def test_a_claim_is_held_by_one_and_leaves_nothing(tmp_path):
    claim = Claim(tmp_path, "a")
    with claim.held() as first:
        claim.staging.mkdir()
        (claim.staging / "half").write_text("x")
        with Claim(tmp_path, "a").held() as second, Claim(tmp_path, "b").held() as other:
            assert (first, second, other) == (True, False, True)
        assert (claim.staging / "half").exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_file_system_without_locks_is_one_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(claims, "_try_lock", refuse)
    with pytest.raises(ValueError, match=f"{tmp_path.name}.*cannot lock"), Claim(tmp_path, "a").held():
        pass


def test_the_claim_of_a_killed_process_is_stale_at_once(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from SegSRGANLib.batch.claims import Claim\n"
        "claim = Claim(Path(sys.argv[1]), 'a')\n"
        "with claim.held():\n"
        "    claim.staging.mkdir(); (claim.staging / 'half').write_text('x'); print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline().strip() == "held"
    claim = Claim(tmp_path, "a")
    with claim.held() as mine:
        assert not mine
    sweep(tmp_path)
    assert (claim.staging / "half").exists()  # a living owner is left alone
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    with claim.held() as mine:
        assert mine and not claim.staging.exists()


def test_sweep_clears_what_the_dead_left(tmp_path):
    claim = Claim(tmp_path, "a")
    claim.staging.mkdir(parents=True)
    (claim.staging / "half").write_text("x")
    claim.lock.write_text("")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_dicom_folder_without_mark_is_no_job(tmp_path):
    _touch(tmp_path / "a.nii.gz", tmp_path / "texts" / "IM1")
    assert _keys(find_jobs(tmp_path, tmp_path / "out")) == ["a"]
