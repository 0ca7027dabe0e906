"""What goes into a comparison, the names of its systems and its volumes, and the statistics that come out."""

import math

import numpy as np
import pytest
from scipy import stats
from support.training_brains import CORTEX, brain, table, write

from SegSRGANLib.comparison.plan import CompareOptions, Row
from SegSRGANLib.comparison.statistics import paired, summarize
from SegSRGANLib.comparison.store import Store
from SegSRGANLib.comparison.subjects import find_cases, load_volumes, simulate
from SegSRGANLib.comparison.systems import SEGMENTERS, parse_systems
from SegSRGANLib.utils.errors import DataError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A table of two test volumes and one to train on."""
    return table(tmp_path_factory.mktemp("cohort"), ("Test", "Test", "Train"))


# --------------------------------------------------------------------------------------------------- the systems


def test_names_of_systems_are_understood():
    systems = parse_systems("all, srrecnn=a/b.safetensors, segsrgan+consistency, mine=c.safetensors")
    models = {method.name: method.model for method in systems.methods}
    assert models["spline"] == "" and models["segsrgan"] == "segsrgan" and models["srrecnn"] == "a/b.safetensors"
    assert models["segsrgan+consistency"] == "segsrgan" and models["mine"] == "c.safetensors"
    assert [r.name for r in systems.methods if r.consistency] == ["segsrgan+consistency"]
    assert systems.segmenters == SEGMENTERS and systems.best == "segsrgan+consistency"
    assert parse_systems("spline,segsrgan-paper,segsrgan").best == "segsrgan"
    assert parse_systems("imapa").best is None and parse_systems("spline,mine=a.safetensors").best == "mine"


@pytest.mark.parametrize("text", ["", " , ", "spline=a.safetensors", "imapa=x", "mine=", "../x=a.safetensors", "HR"])
def test_names_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$"):
        parse_systems(text)


@pytest.mark.parametrize("factors", [(), (1.0,), (3.0, 0.5), (math.nan,)])
def test_factors_that_cannot_be_are_refused(tmp_path, factors):
    with pytest.raises(ValueError, match="lie above 1"):
        CompareOptions(tmp_path, tmp_path, factors)


# ------------------------------------------------------------------------------------------------------ the data


def test_only_test_volumes_are_compared(data, tmp_path):
    assert [case.name for case in find_cases(data)] == ["sub-00", "sub-01"]
    plain = tmp_path / "plain.csv"
    plain.write_text("HR_image\n" + f"{data.parent / 'sub-02_T2w.nii'}\n")
    assert [(case.name, case.labels) for case in find_cases(plain)] == [("sub-02", None)]
    plain.write_text("HR_image,Base\n" + f"{data.parent / 'sub-02_T2w.nii'},Train\n")
    with pytest.raises(DataError, match="no volume to test on"):
        find_cases(plain)


def test_sessions_of_one_subject_have_names_of_their_own(tmp_path):
    for session in ("1", "2"):
        write(brain(0)[0], tmp_path / "sub-1" / f"ses-{session}" / "anat" / f"sub-1_ses-{session}_T2w.nii")
    assert [case.name for case in find_cases(tmp_path)] == ["sub-1_ses-1_T2w", "sub-1_ses-2_T2w"]


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more"])
def test_broken_cross_sections_are_as_good_as_none(tmp_path, content):
    store, row = Store(tmp_path), Row(3.0, "spline")
    store.write_planes("sub-1", row, {"axial": np.ones((2, 2))})
    assert np.array_equal(store.read_planes("sub-1", row)["axial"], np.ones((2, 2)))
    next(tmp_path.rglob("*.npz")).write_bytes(content)
    assert store.read_planes("sub-1", row) is None


@pytest.mark.parametrize("content", ["HR_image\nbébé.nii\n".encode("latin-1"), b'HR_image\n"' + b"x" * 140_000])
def test_a_table_that_is_no_text_is_one_sentence(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match="list.csv .* UTF-8"):
        find_cases(tmp_path / "list.csv")
    (tmp_path / "sub-1" / "anat").mkdir(parents=True)
    (tmp_path / "sub-1" / "anat" / "sub-1_T2w.nii").touch()
    (tmp_path / "participants.tsv").write_bytes(content)
    with pytest.raises(DataError, match="participants.tsv .* UTF-8"):
        find_cases(tmp_path)


def test_volumes_are_cut_to_what_the_slices_cover(data):
    """28 slices and a factor of 5.6 or 5: with 5 the last slices are not covered."""
    volumes = load_volumes(find_cases(data)[0], CORTEX)
    thick, same = simulate(volumes, 5.6)
    assert thick.GetSize() == (28, 28, 5) and same.hr.GetSize() == (28, 28, 28)
    thick, cut = simulate(volumes, 5.0)  # 5.6 slices: 6
    assert thick.GetSize()[2] == 6 and cut.hr.GetSize()[2] == 28
    thick, cut = simulate(volumes, 6.5)  # 4.3 slices: 4
    assert thick.GetSize()[2] == 4 and {v.GetSize()[2] for v in (cut.hr, cut.truth, cut.mask)} == {26}


# --------------------------------------------------------------------------------------------------- statistics


def test_intervals_agree_with_scipy():
    values = np.random.default_rng(3).gamma(2, 2, 15)
    found = summarize([*values, math.nan, math.inf])
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert (found.n, found.mean, found.deviation) == (
        15,
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1)),
    )
    assert (found.low, found.high) == (pytest.approx(expected.low, rel=0.01), pytest.approx(expected.high, rel=0.01))
    assert summarize([]) is None and summarize([math.nan]) is None
    assert summarize(list(values)) == summarize(list(values))


def test_differences_are_paired():
    """Volumes differ a lot, systems a little: only pairs show it."""
    reference = {f"sub-{k}": 10.0 * k for k in range(12)}
    better = {name: value + 0.5 + 0.01 * k for k, (name, value) in enumerate(reference.items())}
    better["sub-99"] = 1e6
    found = paired(better, reference)
    assert found.n == 12 and found.mean == pytest.approx(0.555) and found.excludes_zero
    assert not paired(
        {name: value + (-1) ** k for k, (name, value) in enumerate(reference.items())}, reference
    ).excludes_zero
