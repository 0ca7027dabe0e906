"""Brain masks that a BIDS dataset and its derivatives have of a volume."""

from __future__ import annotations

from pathlib import Path

import pytest

from SegSRGANLib.batch.jobs import find_jobs, with_masks
from SegSRGANLib.io.bids import find_brain_mask


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return _touch(tmp_path / "data/sub-01/ses-a/anat/sub-01_ses-a_run-1_T2w.nii.gz")


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_ses-a_run-1_desc-brain_mask.nii.gz",
        "sub-01_ses-a_run-1_space-T2w_desc-brain_mask.nii.gz",
        "sub-01_ses-a_run-1_space-orig_label-brain_mask.nii",
    ],
)
@pytest.mark.parametrize("place", ["", "derivatives/extractor/"])
def test_masks_are_found_beside_and_in_derivatives(scan: Path, tmp_path: Path, name: str, place: str) -> None:
    mask = _touch(tmp_path / f"data/{place}sub-01/ses-a/anat/{name}")
    assert find_brain_mask(scan, tmp_path / "data") == mask


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_ses-a_run-2_desc-brain_mask.nii.gz",  # another run
        "sub-01_ses-a_run-1_space-MNI_desc-brain_mask.nii.gz",  # another space
        "sub-01_ses-a_run-1_label-lesion_mask.nii.gz",  # something else
        "sub-01_ses-a_desc-brain_mask.nii.gz",  # of which run?
    ],
)
def test_masks_of_something_else_are_not(scan: Path, tmp_path: Path, name: str) -> None:
    _touch(scan.with_name(name))
    assert find_brain_mask(scan, tmp_path / "data") is None


def test_a_named_derivative_counts_alone(scan: Path, tmp_path: Path) -> None:
    _touch(scan.with_name("sub-01_ses-a_run-1_desc-brain_mask.nii.gz"))
    mask = _touch(tmp_path / "masks/sub-01/ses-a/anat/sub-01_ses-a_run-1_desc-brain_mask.nii.gz")
    jobs = find_jobs(tmp_path / "data", tmp_path / "out")
    assert [job.mask for job in with_masks(jobs, tmp_path / "out", tmp_path / "masks")] == [mask]
    with pytest.raises(ValueError, match="holds no brain mask"):
        with_masks(jobs, tmp_path / "out", tmp_path / "nothing")


def test_masks_of_an_earlier_run_are_no_given_masks(scan: Path, tmp_path: Path) -> None:
    results = tmp_path / "data/derivatives/segsrgan"
    mask = _touch(results / "sub-01/ses-a/anat/sub-01_ses-a_run-1_desc-brain_mask.nii.gz")
    jobs = find_jobs(tmp_path / "data", results)
    assert [job.mask for job in with_masks(jobs, results)] == [None]
    assert [job.mask for job in with_masks(jobs, tmp_path / "out")] == [mask]
    assert [job.mask for job in with_masks(jobs, results, results)] == [mask]  # edited, and meant


def test_masks_of_a_list_stay(scan: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(f"input,mask\n{scan},{tmp_path / 'own.nii.gz'}\n")
    (job,) = with_masks(find_jobs(table, tmp_path / "out"), tmp_path / "out")
    assert job.mask == tmp_path / "own.nii.gz"
