"""`segsrgan compare`: what is run, measured and kept, and what happens when something is missing or fails."""

import csv
import gc
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from support.batch_cohort import save_tiny_model
from support.comparison_fakes import TOOLS, Counted
from support.forked import run_command
from support.training_brains import CORTEX, brain, table
from typer.testing import CliRunner

from SegSRGANLib.cli.app import build
from SegSRGANLib.comparison import outputs
from SegSRGANLib.comparison import run as run_module
from SegSRGANLib.comparison import worker as work
from SegSRGANLib.comparison.cost import Meter
from SegSRGANLib.comparison.plan import CompareOptions
from SegSRGANLib.comparison.run import run_comparison
from SegSRGANLib.comparison.systems import parse_systems

imread = pytest.importorskip("matplotlib.image", reason="needs the extra report").imread


@pytest.fixture(scope="module", autouse=True)
def _old_objects_stay():
    """Before each result the meter collects garbage: it need not look at what is older than these tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A table of two test volumes and one to train on."""
    return table(tmp_path_factory.mktemp("cohort"), ("Test", "Test", "Train"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def compare(tmp_path, data, monkeypatch):
    """Run a comparison in this process."""

    def pool(jobs, prepare, workers, progress=None, should_stop=None):
        do = prepare(0, 1)
        yield from [do(job, lambda *_: None, should_stop or (lambda: False)) for job in jobs]

    def run(systems, tools=TOOLS, source=data, stop=None, **options):
        options = {"factors": (2.0,), "atlases": tmp_path, **options}
        return run_comparison(
            parse_systems(systems), CompareOptions(source, tmp_path / "out", **options), tools=tools, should_stop=stop
        )

    monkeypatch.setattr(run_module, "run_pool", pool)
    for module, drawing in ((work, "draw_grid"), (outputs, "draw_boxes")):  # the slowest part; one test has it
        monkeypatch.setattr(module, drawing, lambda *arguments: None)
    monkeypatch.setattr(run_module, "unfinished", work.pending)
    return run


def _by_title(found, subject="sub-00"):
    return {result.system: result for result in found.results if result.subject == subject}


def _times(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in (folder / "results").rglob("*.json")}


# ------------------------------------------------------------------------------------------------------- figures


def _scipy_spline(hr, factor):
    """Thick slices as weighted means, interpolated by scipy."""
    centres = (np.arange(round(hr.shape[0] / factor)) + 0.5) * factor - 0.5
    weights = stats.norm.pdf(np.arange(hr.shape[0]), centres[:, None], factor / (2 * math.sqrt(2 * math.log(2))))
    thick = np.tensordot(weights / weights.sum(1, keepdims=True), hr.astype(np.float64), 1)
    z = (np.arange(hr.shape[0]) + 0.5) / factor - 0.5
    grid = np.meshgrid(z, *(np.arange(n) for n in hr.shape[1:]), indexing="ij")
    return ndimage.map_coordinates(thick, grid, order=3, mode="mirror")


def test_the_spline_equals_scipy(compare):
    found = _by_title(compare("spline", factors=(2.0, 4.0)))
    hr, labels = brain(0)
    peak = float(hr.max())
    spline = _scipy_spline(hr, 4.0)
    truth, estimate = hr.astype(np.float64) / peak, spline / peak
    similarity = structural_similarity(
        truth, estimate, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    inside = labels > 0
    expected = {
        "psnr": peak_signal_noise_ratio(truth, estimate, data_range=1),
        "psnr_mask": peak_signal_noise_ratio(truth[inside], estimate[inside], data_range=1),
        "ssim": similarity[0],
        "ssim_mask": similarity[1][inside].mean(),
    }
    figures = found["spline"].figures
    assert figures.keys() == expected.keys()
    assert figures == pytest.approx(expected, abs=1e-4)
    assert found["spline"].factor == 4.0  # the later one of both


@pytest.mark.slow
def test_every_row_of_a_volume(compare, model, tmp_path):
    """Methods, then each segmenter on the spline, on the model's volume, and on the true one."""
    found = compare(f"spline,tiny={model},majority,imapa")
    rows = _by_title(found)
    assert list(rows) == [
        "spline", "tiny", "majority on spline", "imapa on spline", "majority on tiny", "imapa on tiny",
        "majority on HR", "imapa on HR",
    ]  # fmt: skip
    assert all(result.status == "done" for result in found.results) and not found.problems
    assert rows["tiny"].figures.keys() >= {"psnr", "ssim_mask", "dice", "hd95", "assd", "volume_bias"}
    assert rows["imapa on HR"].figures.keys() == {"dice", "tolerant_dice", "hd95", "assd", "volume_bias"}
    truth, atlas = (brain(seed)[1] == CORTEX for seed in (0, 7))
    expected = 2 * (truth & atlas).sum() / (truth.sum() + atlas.sum())
    assert rows["imapa on HR"].figures["dice"] == pytest.approx(expected)
    steps = rows["imapa on tiny"].steps
    assert steps.keys() == {"restoration", "registration", "segmentation"}
    assert rows["imapa on tiny"].seconds == pytest.approx(sum(steps.values()), abs=0.01)
    assert steps["restoration"] == pytest.approx(rows["tiny"].seconds, abs=0.01)
    assert not (tmp_path / "out" / ".registered").exists()


def test_atlases_are_registered_once_an_input_and_never_to_themselves(compare, tmp_path):
    counted = Counted()
    compare("imapa,majority", counted.tools(), factors=(2.0, 3.0))
    assert counted.calls == {"register": 2 * 3, "segment": 2 * 3 * 2}  # two volumes; two splines and HR
    assert counted.names == [["atlas-7"]] * 3 + [["atlas-0", "atlas-7"]] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux counts memory")
def test_the_meter_counts_what_is_added():
    held = np.ones(8 << 20)
    with Meter() as meter:
        block = np.ones(12 << 20)  # 96 MiB
        block = block[:1].copy()
    assert 90 < meter.cost.memory < 130 and held[0] == block[0]
    with Meter() as small:
        pass
    assert small.cost.memory < 20
    assert meter.cost.then(small.cost).memory == meter.cost.memory


# -------------------------------------------------------------------------------------------- what may go wrong


def test_a_failing_system_stops_nothing_else(compare):
    found = compare("spline,drawem,imapa")
    rows = _by_title(found)
    assert rows["drawem on spline"].status == "failed" and rows["imapa on spline"].status == "done"
    (problem,) = found.problems
    assert problem == "drawem on spline, drawem on HR; sub-00, sub-01: no patch is similar."
    text = found.files["tables"].read_text()
    assert problem in text and "| imapa on HR |" in text and "| drawem" not in text


def test_a_missing_model_is_one_sentence(compare, model):
    found = compare(f"spline,tiny={model},nowhere,gone=gone.safetensors")
    assert [problem.split(" is missing: ")[0] for problem in found.problems] == ["nowhere", "gone"]
    assert all(problem.count("\n") == 0 and problem.endswith(".") for problem in found.problems)
    assert list(_by_title(found)) == ["spline", "tiny"]


def test_segmenters_need_atlases(compare):
    found = compare("spline,imapa", atlases=None)
    assert found.problems == ("imapa is missing: It needs atlases; name a folder or table of them with --atlases.",)
    with pytest.raises(ValueError, match=r"Not one of the systems can run. It needs atlases"):
        compare("imapa", atlases=None)


def test_volumes_without_labels_keep_their_intensities(compare, data, model, tmp_path):
    source = tmp_path / "some.csv"
    files = [data.parent / f"sub-{k:02}_T2w.nii" for k in (0, 1)]
    source.write_text(f"HR_image,Label_image\n{files[0]},\n{files[1]},{data.parent / 'sub-01_dseg.nii'}\n")
    found = compare(f"spline,tiny={model},imapa", source=source)
    bare, labelled = _by_title(found), _by_title(found, "sub-01")
    assert bare["spline"].figures.keys() == bare["tiny"].figures.keys() == {"psnr", "ssim"}
    assert bare["imapa on HR"].status == "failed" and labelled["imapa on HR"].status == "done"
    assert any("sub-00" in problem and "it has no label map" in problem for problem in found.problems)
    assert "n = 1" in found.files["tables"].read_text()


def test_another_label_set_is_named(compare, model):
    found = compare(f"tiny={model},imapa", label=3)
    assert all("its label map has no label 3, its labels are 1, 4, 5" in problem for problem in found.problems)
    assert _by_title(found)["tiny"].status == "done" and "psnr_mask" in _by_title(found)["tiny"].figures


def test_one_volume_has_no_interval(compare, data, tmp_path):
    source = tmp_path / "one.csv"
    source.write_text(f"HR_image\n{data.parent / 'sub-00_T2w.nii'}\n")
    found = compare("spline,spline+consistency", source=source)
    assert not found.problems
    text = found.files["tables"].read_text()
    psnr = _by_title(found)["spline"].figures["psnr"]
    assert "1 volume\n" in text and f"| spline | {psnr:.2f} |" in text
    (row, *_) = csv.DictReader(found.files["means"].open())
    assert (row["n"], row["sd"], row["ci_low"]) == ("1", "", "")


def test_a_broken_volume_does_not_stop_the_others(compare, data, tmp_path):
    source = tmp_path / "broken.csv"
    (tmp_path / "sub-09_T2w.nii").write_bytes(b"no volume")
    source.write_text(f"HR_image\n{tmp_path / 'sub-09_T2w.nii'}\n{data.parent / 'sub-00_T2w.nii'}\n")
    found = compare("spline", source=source)
    assert _by_title(found)["spline"].status == "done" and _by_title(found, "sub-09")["spline"].status == "failed"
    assert len(found.problems) == 1 and found.problems[0].startswith("spline; sub-09: ")


# ------------------------------------------------------------------------------------------------------- resuming


@pytest.mark.slow
def test_only_what_is_missing_or_stale_is_done_again(compare, data, model, tmp_path):
    counted, out = Counted(), tmp_path / "out"
    own = tmp_path / "own.safetensors"
    own.write_bytes(model.read_bytes())
    systems = f"spline,own={own},imapa"
    compare(systems, counted.tools())
    first, calls = _times(out), dict(counted.calls)
    compare(systems, counted.tools())
    assert _times(out) == first and counted.calls == calls

    lost, half = (out / "results" / "sub-01" / "factor-2" / name for name in ("spline.json", "own.json"))
    lost.unlink()
    half.write_text(half.read_text()[:40])
    compare(systems, counted.tools())
    changed = {path for path, when in _times(out).items() if first[path] != when}
    assert changed == {path.relative_to(out) for path in (lost, half)} and counted.calls == calls

    second = _times(out)
    save_other_model(own)
    compare(systems, counted.tools())
    changed = {path.name for path, when in _times(out).items() if second[path] != when}
    assert changed == {"own.json", "imapa_on_own.json"}


@pytest.mark.slow
def test_a_failed_result_is_tried_again(compare):
    assert compare("imapa,drawem").problems
    repaired = Counted().tools()
    assert not compare("imapa,drawem", repaired).problems


def test_a_kill_costs_one_result_and_no_registration(compare, tmp_path):
    counted = Counted()

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    tools = counted.tools()
    deadly = replace(tools, segmenters={**tools.segmenters, "imapa": killed})
    with pytest.raises(Killed):
        compare("spline,majority,imapa", deadly)
    before = _times(tmp_path / "out")
    assert {path.name for path in before} == {"spline.json", "majority_on_spline.json"}
    assert counted.calls["register"] == 1
    found = compare("spline,majority,imapa", tools)
    after = _times(tmp_path / "out")
    assert {path: after[path] for path in before} == before
    assert not found.problems and counted.calls["register"] == 2 * 2
    assert not list((tmp_path / "out").rglob(".partial*")) and not (tmp_path / "out" / ".registered").exists()


def test_stopping_leaves_whole_results(compare, tmp_path):
    asked = iter([False, False, True])
    found = compare("spline,imapa", stop=lambda: next(asked, True))
    assert found.cancelled and not found.files
    assert {path.as_posix() for path in _times(tmp_path / "out")} == {
        f"results/sub-00/factor-2/{name}.json" for name in ("spline", "imapa_on_spline")
    }
    assert not compare("spline,imapa").cancelled


# ------------------------------------------------------------------------------------------------ tables, pictures


@pytest.mark.slow
def test_tables_hold_the_figures(compare, model, tmp_path):
    found = compare(f"spline,tiny={model},imapa", factors=(2.0, 3.0), reference="tiny")
    rows = list(csv.DictReader(found.files["values"].open()))
    assert len(rows) == 2 * (2 * (2 + 2) + 1) and {row["factor"] for row in rows} == {"1", "2", "3"}
    dice = [float(r["dice"]) for r in rows if (r["factor"], r["system"]) == ("3", "imapa on tiny")]
    text = found.files["tables"].read_text()
    third = text[text.index("## Factor 3, 2 volumes") :]
    assert f"| imapa on tiny | {np.mean(dice):.3f} ({np.std(dice, ddof=1):.3f}) [" in third
    assert "| imapa on HR |" in third and "Paired difference to tiny, cortex" in third
    own = [float(r["dice"]) for r in rows if (r["factor"], r["system"]) == ("3", "tiny")]
    difference = f"{np.mean(dice) - np.mean(own):+.3f} ["
    assert difference in third
    written = list(csv.DictReader(found.files["differences"].open()))
    (cell,) = [r for r in written if (r["factor"], r["system"], r["measure"]) == ("3", "imapa on tiny", "dice")]
    assert float(cell["mean"]) == pytest.approx(np.mean(dice) - np.mean(own), rel=1e-4)
    record = json.loads(found.files["record"].read_text())
    assert record["weights"].keys() == {"tiny"} and record["options"]["label"] == CORTEX
    with pytest.raises(ValueError, match="no row 'nobody' to compare with; choose one of spline, tiny"):
        compare(f"spline,tiny={model}", reference="nobody")


@pytest.mark.slow
def test_the_command_in_processes_of_its_own(data, model, tmp_path):
    """Two workers, real pictures, JSON for a parent process; a missing model makes the status 1."""
    command = ["compare", data, "-o", tmp_path, "--factors", "2"]
    command += ["--workers", "2", "--progress", "json", "--systems", f"spline,tiny={model}"]
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    fractions = [line["fraction"] for line in lines if "fraction" in line]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert lines[-1]["done"] and lines[-1]["files"]["tables"] == str(tmp_path / "tables.md")
    for path in (tmp_path / "boxplots.png", tmp_path / "pictures" / "sub-01_factor-2.png"):
        picture = imread(path)
        assert min(picture.shape[:2]) > 200 and picture[..., :3].std() > 0.05

    def drawn(again):
        assert run_command(*again).returncode == 0
        return path.stat().st_mtime_ns

    fewer = [*command[:-1], "spline"]  # all its results are there
    first = path.stat().st_mtime_ns
    assert drawn(command) == first < drawn(fewer)
    assert path.stat().st_mtime_ns == drawn(fewer)


def test_the_command_says_what_is_missing(compare, monkeypatch, tmp_path, data):
    status = CliRunner().invoke(build(), ["compare", str(data), "-o", str(tmp_path), "--systems", "spline,gone"])
    assert status.exit_code == 1
    assert "Missing: gone is missing: There is no model named 'gone'" in status.stderr
    assert "tables.md says what is missing." in status.stderr.splitlines()[-1]
    for wrong in (["--factors", "three"], ["--workers", "0"], ["--systems", ""]):
        status = CliRunner().invoke(build(), ["compare", str(data), "-o", str(tmp_path), *wrong])
        assert status.exit_code == 1 and status.stderr.startswith("Error: ") and status.stderr.count("\n") == 1


def save_other_model(path):
    """The same network with another title: another file."""
    from SegSRGANLib.models.card import ModelCard
    from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(path, load_checkpoint(path).network, ModelCard(title="Other"))
