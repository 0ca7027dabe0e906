"""Other protocols of a comparison: any axis, another resolution inside the slices, folds, the band-limited truth."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.batch_cohort import save_tiny_model
from support.comparison_fakes import TOOLS, Counted
from support.training_brains import CORTEX, brain, write
from typer.testing import CliRunner

from SegSRGANLib.cli.app import build
from SegSRGANLib.comparison import outputs
from SegSRGANLib.comparison import run as run_module
from SegSRGANLib.comparison import worker as work
from SegSRGANLib.comparison.plan import CompareOptions
from SegSRGANLib.comparison.run import run_comparison
from SegSRGANLib.comparison.segmenters import others
from SegSRGANLib.comparison.store import ACROSS, Store
from SegSRGANLib.comparison.subjects import Volumes, find_cases, load_volumes, simulate
from SegSRGANLib.comparison.systems import parse_systems
from SegSRGANLib.multi_atlas.atlas import read_atlases
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.band_limit import band_limited
from SegSRGANLib.utils.errors import DataError


def _image(array: np.ndarray, spacing: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> sitk.Image:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing(spacing)
    return image


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three folds, one brain each, and a row of labels alone."""
    folder = tmp_path_factory.mktemp("folds")
    lines = ["HR_image,Label_image,Mask_image,Fold"]
    for k in range(3):
        intensity, labels = brain(k)
        write(intensity, folder / f"sub-{k}_T2w.nii")
        write(labels, folder / f"sub-{k}_dseg.nii")
        write((labels > 0).astype(np.uint8), folder / f"sub-{k}_mask.nii")
        lines.append(f"sub-{k}_T2w.nii,sub-{k}_dseg.nii,sub-{k}_mask.nii,{k + 1}")
    path = folder / "folds.csv"
    path.write_text("\n".join([*lines, ",sub-0_dseg.nii,,0"]) + "\n")
    return path


@pytest.fixture
def compare(tmp_path, data, monkeypatch):
    """Run a comparison in this process, without pictures."""

    def pool(jobs, prepare, workers, progress=None, should_stop=None):
        do = prepare(0, 1)
        yield from [do(job, lambda *_: None, lambda: False) for job in jobs]

    def run(systems, tools=TOOLS, **options):
        options = {"factors": (2.0,), **options}
        return run_comparison(parse_systems(systems), CompareOptions(data, tmp_path / "out", **options), tools=tools)

    monkeypatch.setattr(run_module, "run_pool", pool)
    for module, drawing in ((work, "draw_grid"), (outputs, "draw_boxes")):
        monkeypatch.setattr(module, drawing, lambda *arguments: None)
    monkeypatch.setattr(run_module, "unfinished", work.pending)
    return run


# -------------------------------------------------------------------------------------- resolution inside the slices


def test_the_papers_second_protocol_keeps_places() -> None:
    """A blob's centroid stays where it is in 0.446 x 0.446 x 3 mm, made from 0.5 mm."""
    z, y, x = np.indices((48, 40, 44))
    blob = np.exp(-(((z - 24) / 6) ** 2 + ((y - 18) / 5) ** 2 + ((x - 23) / 5) ** 2))
    scan = acquire(_image(blob), (0.446, 0.446, 3.0), finer=True)
    assert scan.GetSpacing() == pytest.approx((0.446, 0.446, 3.0))
    assert scan.GetSize() == (round(22 / 0.446), round(20 / 0.446), 8)

    def centroid(image: sitk.Image) -> np.ndarray:
        values = sitk.GetArrayFromImage(image)
        index = [float((i * values).sum() / values.sum()) for i in np.indices(values.shape)[::-1]]
        return np.array(image.TransformContinuousIndexToPhysicalPoint(index))

    np.testing.assert_allclose(centroid(scan), centroid(_image(blob)), atol=0.01)


def test_finer_voxels_are_refused_unless_they_are_wanted() -> None:
    with pytest.raises(ValueError, match="cannot be finer"):
        acquire(_image(np.ones((8, 8, 8))), (0.4, 0.5, 1.0))


def test_only_the_axes_that_change_are_changed() -> None:
    volume = _image(np.random.default_rng(0).random((8, 8, 8)))
    both = acquire(acquire(volume, (0.5, 0.5, 1.0)), (0.4, 0.5, 1.0), finer=True)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(acquire(volume, (0.4, 0.5, 1.0), finer=True)), sitk.GetArrayFromImage(both), atol=1e-6
    )


@pytest.mark.parametrize(("axis", "in_plane"), [(0, None), (1, None), (2, 0.446), (1, 0.9)])
def test_slices_along_any_axis_with_any_voxels_inside(axis: int, in_plane: float | None) -> None:
    volumes = Volumes(_image(brain(0)[0]), None, None)
    thick, cut = simulate(volumes, 4.0, axis, in_plane)
    expected = [0.5 if in_plane is None else in_plane] * 3
    expected[axis] = 2.0
    assert thick.GetSpacing() == pytest.approx(tuple(expected))
    assert cut.hr.GetSpacing() == (0.5, 0.5, 0.5)
    assert all(abs(a - b) <= 1 for a, b in zip(cut.hr.GetSize(), volumes.hr.GetSize(), strict=True))


def test_simulate_command_takes_the_second_protocol(tmp_path: Path) -> None:
    write(brain(0)[0], tmp_path / "hr.nii", spacing=0.5)
    command = ["simulate", str(tmp_path / "hr.nii"), "-o", str(tmp_path / "lr.nii"), "--slice-thickness", "3"]
    done = CliRunner().invoke(build(), [*command, "--in-plane", "0.446"])
    assert done.exit_code == 0, done.output
    assert sitk.ReadImage(str(tmp_path / "lr.nii")).GetSpacing() == pytest.approx((0.446, 0.446, 3.0))
    refused = CliRunner().invoke(build(), [*command, "--in-plane", "-1", "--overwrite"])
    assert refused.exit_code == 1
    assert "must be positive" in refused.output


# ---------------------------------------------------------------------------------------------- the band-limited truth


def test_band_limit_keeps_slow_waves_and_removes_fast_ones() -> None:
    n = 24
    slow, fast = (np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k in (5, 15))  # Nyquist of factor 2: k = 12
    volume = 3 + slow[None, :, None] + fast[None, :, None] + np.zeros((4, n, 4))
    limited = sitk.GetArrayFromImage(band_limited(_image(volume), (0.5, 1.0, 0.5)))
    np.testing.assert_allclose(limited, 3 + slow[None, :, None] + np.zeros((4, n, 4)), atol=1e-5)


def test_the_yardstick_is_a_row_above_the_spline_that_costs_nothing(compare) -> None:
    found = compare("spline,band-limited", axis=1, folds=("1",))
    rows = {result.system: result for result in found.results}
    assert not found.problems
    assert rows["band-limited"].figures["psnr_mask"] > rows["spline"].figures["psnr_mask"]
    assert rows["band-limited"].seconds is None
    text = found.files["tables"].read_text()
    assert "along the second axis" in text
    assert "| band-limited |" in text
    assert "Nyquist" in text


def test_the_yardstick_is_not_brought_to_agreement() -> None:
    for text in ("band-limited+consistency", "band-limited=a.safetensors"):
        with pytest.raises(ValueError, match="band-limited"):
            parse_systems(text)


def test_pictures_show_the_slices_from_the_side(compare, tmp_path: Path) -> None:
    compare("spline", axis=1, folds=("1",))
    row = next(iter(work.Plan(CompareOptions(tmp_path, tmp_path), parse_systems("spline")).rows()))
    store = Store(tmp_path / "out")
    planes = store.read_planes("sub-0", row.__class__(2.0, "HR"))
    assert planes is not None
    assert str(planes[ACROSS]) == "coronal"  # so that the axial plane is drawn


# -------------------------------------------------------------------------------------------------------------- folds


def test_a_fold_is_compared_with_the_others_as_atlases(compare, data: Path) -> None:
    counted = Counted()
    tools = counted.tools()
    tools = tools.__class__(read_atlases, tools.register, tools.segmenters, "fake")
    found = compare("spline,imapa", tools, folds=("1", "3"))
    assert {result.subject for result in found.results} == {"sub-0", "sub-2"}
    assert not found.problems
    assert counted.names == [["sub-1", "sub-2"]] * 2 + [["sub-0", "sub-1"]] * 2  # on the spline and on HR
    assert "Volumes of the folds 1, 3" in found.files["tables"].read_text()


def test_atlases_of_a_volumes_own_fold_are_left_out(data: Path) -> None:
    atlases = read_atlases(data)
    assert [atlas.fold for atlas in atlases] == ["1", "2", "3"]
    unknown = _image(np.zeros((4, 4, 4)))
    assert [atlas.name for atlas in others(atlases, unknown, "2")] == ["sub-0", "sub-2"]
    assert len(others(atlases, unknown)) == 3
    assert [atlas.name for atlas in others(atlases, atlases[0].image, "2")] == ["sub-2"]


def test_folds_that_are_not_there_are_named(data: Path) -> None:
    with pytest.raises(DataError, match=r"no volume of fold '7'; its folds are 0, 1, 2, 3|its folds are 1, 2, 3"):
        find_cases(data, ("7",))


def test_each_fold_has_its_own_weights(compare, tmp_path: Path) -> None:
    for fold in ("1", "2"):
        save_tiny_model(tmp_path / f"tiny-{fold}.safetensors")
    found = compare(f"tiny={tmp_path}/tiny-{{fold}}.safetensors", folds=("1", "2"))
    assert [(r.subject, r.status) for r in found.results] == [("sub-0", "done"), ("sub-1", "done")]
    found = compare(f"spline,tiny={tmp_path}/tiny-{{fold}}.safetensors")
    assert "one file for each fold" in found.problems[0]


def test_given_masks_reach_the_models_and_made_ones_do_not(data: Path) -> None:
    given = load_volumes(find_cases(data)[0], CORTEX)
    assert given.given
    assert given.mask is not None
    plain = data.with_name("plain.csv")
    plain.write_text("HR_image,Label_image\nsub-0_T2w.nii,sub-0_dseg.nii\n")
    made = load_volumes(find_cases(plain)[0], CORTEX)
    assert made.mask is not None
    assert not made.given


@pytest.mark.parametrize(("name", "value"), [("axis", 3), ("in_plane", 0.0), ("in_plane", float("nan"))])
def test_protocols_that_cannot_be_are_refused(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ValueError, match="axis of the slices|spacing inside the slices"):
        CompareOptions(tmp_path, tmp_path, **{name: value})


def test_the_table_of_the_newborns_has_five_folds_of_distinct_subjects() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "configs" / "newborn_folds.csv"
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["Fold"] for row in rows} == {"1", "2", "3", "4", "5"}
    assert len({row["HR_image"] for row in rows}) == len(rows) == 14
