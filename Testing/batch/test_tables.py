"""The table of volumes: from the records, in BIDS's units and words, each column described."""

import csv
import json

import pytest

from SegSRGANLib.batch.jobs import Job, find_jobs
from SegSRGANLib.batch.tables import table_path, write_volumes
from SegSRGANLib.utils.process_pool import DONE, FAILED, SKIPPED, Outcome


def _record(uncertainty=None, warnings=()):
    cortex = {"volume_ml": 80.5, "expected_volume_ml": 81.25, "surface_cm2": 512.5, "euler_number": -7, "components": 3}
    quality = {"cortex": cortex | {"largest_component": 0.98}}
    if uncertainty is not None:
        quality["uncertainty"] = {"volume_interval_ml": uncertainty}
    return {"quality": quality, "warnings": list(warnings), "options": {"spacing": 0.5}, "model": {"name": "tiny"}}


def _written(tmp_path, outcomes):
    path = table_path(tmp_path, "volumes")
    write_volumes(outcomes, path)
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_volumes_of_a_cohort(tmp_path):
    bids = Job(tmp_path / "x.nii", "sub-02_ses-b_acq-tse", "sub-02/ses-b/anat", dataset=tmp_path)
    outcomes = [
        Outcome(bids, DONE, record=_record([79.0, 82.0], ["look", "here"])),
        Outcome(Job(tmp_path / "a.nii", "baby", "site"), SKIPPED, record=_record()),
        Outcome(Job(tmp_path / "b.nii", "broken"), FAILED, "empty"),
        Outcome(Job(tmp_path / "c.nii", "without-cortex"), DONE, record=_record() | {"quality": {"consistency": {}}}),
    ]
    plain, rich = _written(tmp_path, outcomes)
    assert (plain["participant_id"], plain["session_id"], plain["result"]) == ("site/baby", "n/a", "site/baby")
    assert (rich["participant_id"], rich["session_id"]) == ("sub-02", "ses-b")
    assert [float(rich[f"cortex_volume{end}"]) for end in ("", "_low", "_high", "_expected")] == pytest.approx(
        [80500, 79000, 82000, 81250]
    )
    assert plain["cortex_volume_low"] == "n/a" and float(plain["cortex_surface"]) == 51250
    assert (rich["euler_number"], rich["components"], rich["warnings"], plain["warnings"]) == ("-7", "3", "2", "0")


def test_every_column_is_described(tmp_path):
    (row,) = _written(tmp_path, [Outcome(Job(tmp_path / "a.nii", "a"), DONE, record=_record())])
    described = json.loads((tmp_path / "volumes.json").read_text())
    assert list(described) == list(row) and all(column["Description"] for column in described.values())
    assert {name for name, column in described.items() if column.get("Units") == "mm^3"} == {
        name for name in row if name.startswith("cortex_volume")
    }


def test_participants_are_taken_by_label(tmp_path):
    for label in ("01", "012", "2"):
        path = tmp_path / "raw" / f"sub-{label}" / "ses-1" / "anat" / f"sub-{label}_ses-1_T2w.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    chosen = find_jobs(tmp_path / "raw", tmp_path / "out", participants=["01", "sub-2"])
    assert [job.name for job in chosen] == ["sub-01_ses-1", "sub-2_ses-1"]
    with pytest.raises(ValueError, match="sub-1 "):
        find_jobs(tmp_path / "raw", tmp_path / "out", participants=["1"])
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "sub-01.nii").touch()
    with pytest.raises(ValueError, match="BIDS"):
        find_jobs(tmp_path / "plain", tmp_path / "out", participants=["01"])
