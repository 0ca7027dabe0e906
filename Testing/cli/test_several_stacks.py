"""Several stacks of one child on the command line: `predict A B`, and what a batch combines."""

import json
import shutil

import pytest
import SimpleITK as sitk
from support.command_line import run
from support.stacked_children import Taken, child, rigid, stack

from SegSRGANLib.batch.jobs import find_jobs, with_masks
from SegSRGANLib.batch.worker import BatchOptions, existing, process
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """The stacks of one child and their masks, as a BIDS session."""
    folder = tmp_path_factory.mktemp("raw") / "sub-01" / "anat"
    folder.mkdir(parents=True)
    brain = child(6)
    for run_number, taken in enumerate((Taken(1), Taken(2, rigid((4, 2, -3), (2, 1, 1)))), start=1):
        image, mask = stack(brain, taken)
        sitk.WriteImage(image, str(folder / f"sub-01_acq-tse_run-{run_number}_T2w.nii.gz"))
        sitk.WriteImage(mask, str(folder / f"sub-01_acq-tse_run-{run_number}_mask.nii.gz"))
    return folder


def _files(scans, ending):
    return [scans / f"sub-01_acq-tse_run-{number}_{ending}.nii.gz" for number in (1, 2)]


def _combine(capfd, stacks, outdir, model, *more):
    fixed = ("-o", outdir, "-m", model, "--spacing", 1.5, "--patch", 32, "--device", "cpu")
    return run(capfd, "predict", *stacks, *fixed, *more)


@pytest.mark.slow
def test_predict_combines_its_volumes(capfd, scans, tmp_path, model):
    (first, second), masks = _files(scans, "T2w"), _files(scans, "mask")
    more = ("--mask", masks[0], "--mask", masks[1], "--maps", "--report", "--progress", "json")
    status, out, error = _combine(capfd, (first, second), tmp_path / "out", model, *more)
    assert not [line for line in error.splitlines() if not line.startswith("Warning")]
    assert status == 0
    name = "sub-01_acq-tse_run-1_T2w"
    record = json.loads((tmp_path / "out" / f"{name}_record.json").read_text())
    assert [entry["file"] for entry in record["stacks"]] == [first.name, second.name]
    assert record["input"]["file"] == first.name
    assert record["input"]["mask_file"] == masks[0].name
    assert f"{name}_consistency-2.nii.gz" in record["files"]
    page = (tmp_path / "out" / f"{name}_report.html").read_text(encoding="utf-8")
    assert "stack 2: agreement with the result" in page
    assert "stack 2: moved since the first one" in page
    assert second.name in page
    assert json.loads(out.splitlines()[-1])["files"]["consistency-2"].endswith(f"{name}_consistency-2.nii.gz")


def test_two_children_are_one_sentence_and_no_file(capfd, scans, tmp_path, model):
    image, mask = stack(child(7), Taken(2))
    sitk.WriteImage(image, str(tmp_path / "other.nii.gz"))
    sitk.WriteImage(mask, str(tmp_path / "mask.nii.gz"))
    more = ("--mask", _files(scans, "mask")[0], "--mask", tmp_path / "mask.nii.gz", "--progress", "none")
    stacks = (_files(scans, "T2w")[0], tmp_path / "other.nii.gz")
    status, _, error = _combine(capfd, stacks, tmp_path / "out", model, *more)
    assert status == 1
    assert error.strip().splitlines()[-1].startswith("Error: stack 2 does not fit stack 1")
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_batch_combines_the_runs_of_a_session(scans, tmp_path, model):
    dataset = scans.parents[1]
    assert len(find_jobs(dataset, tmp_path)) == 2
    (job,) = find_jobs(dataset, tmp_path, combine=True)
    assert job.name == "sub-01_acq-tse"
    assert list(job.sources) == _files(scans, "T2w")
    prediction = PredictionOptions(32, device="cpu")
    options = BatchOptions(tmp_path, str(model), EnhanceOptions(1.5, prediction=prediction))
    network = load_checkpoint(model)
    outcome = process(job, options, network)
    assert outcome.status == "done", outcome.reason
    sidecar = next((tmp_path / "sub-01" / "anat").glob("sub-01_acq-tse_space-orig_res-1p5mm_desc-segsrgan_T2w.json"))
    assert json.loads(sidecar.read_text())["Sources"] == [
        f"bids:raw:sub-01/anat/{path.name}" for path in _files(scans, "T2w")
    ]
    assert existing(job, options, network).status == "skipped"
    (alone, _) = find_jobs(dataset, tmp_path)
    assert existing(alone, options, network) is None  # has a name of its own


@pytest.mark.slow
def test_batch_gives_each_stack_the_mask_of_its_dataset(scans, tmp_path, model):
    anat = tmp_path / "raw" / "sub-01" / "anat"
    shutil.copytree(scans, anat)
    masks = [
        path.rename(path.with_name(path.name.replace("_mask", "_desc-brain_mask"))) for path in _files(anat, "mask")
    ]
    outdir = tmp_path / "out"
    (job,) = with_masks(find_jobs(tmp_path / "raw", outdir, combine=True), outdir)
    assert list(job.masks) == masks
    options = BatchOptions(outdir, str(model), EnhanceOptions(1.5, prediction=PredictionOptions(32, device="cpu")))
    network = load_checkpoint(model)
    outcome = process(job, options, network)
    assert outcome.status == "done", outcome.reason
    assert [entry["mask"]["source"] for entry in outcome.record["stacks"]] == ["given", "given"]
    assert outcome.record["stacks"][1]["mask_file"] == masks[1].name
    assert existing(job, options, network).status == "skipped"
    sitk.WriteImage(sitk.BinaryErode(sitk.ReadImage(str(masks[1])), [1, 1, 1]), str(masks[1]))
    assert "another mask of a further stack" in existing(job, options, network).reason
    masks[1].unlink()
    (job,) = with_masks([job], outdir)
    assert job.masks == (masks[0], masks[1])  # those of a job stay
    (job,) = with_masks(find_jobs(tmp_path / "raw", outdir, combine=True), outdir)
    assert job.masks == (masks[0],)


def test_a_list_names_the_stacks_of_a_child(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("input,input3,input2,mask,output\na.nii,c.nii,b.nii,m.nii,child-1\nd.nii,,,,child-2\n")
    first, second = find_jobs(table, tmp_path / "out")
    assert [path.name for path in first.sources] == ["a.nii", "b.nii", "c.nii"]
    assert first.mask.name == "m.nii"
    assert second.others == ()
    with pytest.raises(ValueError, match="--combine is for folders"):
        find_jobs(table, tmp_path / "out", combine=True)


def test_a_folder_of_stacks_is_one_child(tmp_path):
    for name in ("baby/ax.nii.gz", "baby/cor.nii.gz", "other/ax.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    jobs = find_jobs(tmp_path, tmp_path / "out", combine=True)
    assert [(job.key, len(job.sources)) for job in jobs] == [("baby", 2), ("other/ax", 1)]


def test_the_help_says_what_several_volumes_mean(capfd):
    status, out, _ = run(capfd, "predict", "--help")
    assert status == 0
    assert "stacks of one child" in " ".join(out.split())
