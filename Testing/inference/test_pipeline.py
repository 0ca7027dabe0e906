"""`enhance` from end to end, with networks whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob, centroid

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.results.files import save_enhancement
from SegSRGANLib.results.paths import result_name, result_paths
from SegSRGANLib.results.provenance import recorded_files
from SegSRGANLib.transforms.data_consistency import enforce_data_consistency
from SegSRGANLib.transforms.normalization import Normalization
from SegSRGANLib.transforms.resample import upsample
from SegSRGANLib.utils.errors import Cancelled

GRIDS = awkward_grids()
PREDICTION = PredictionOptions(patch=32, device="cpu")


class Threshold(torch.nn.Module):
    """Intensity unchanged; the cortex is where the intensity exceeds a half."""

    multiple, minimum, segments = 4, 8, True

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.cat([x, (x > 0.5).float()], dim=1)


def _model(network=None, rule="maximum"):
    return Model(network or Threshold(), ModelCard(normalization=Normalization(rule)))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_identity_network_returns_the_interpolation_and_nothing_moves(grid):
    scan = blob(grid, sigma=2.2) * 900.0
    result = enhance(scan, _model(), EnhanceOptions(spacing=0.6, prediction=PREDICTION, consistency=False))
    output = output_grid(grid, 0.6)
    expected = sitk.GetArrayFromImage(upsample(scan, output))
    assert np.allclose(sitk.GetArrayFromImage(result.sr), expected, atol=900e-6)
    assert all(Grid.of(v) == output for v in (result.sr, result.probability, result.labels))
    assert np.linalg.norm(centroid(result.sr) - centroid(scan)) < 0.01
    assert np.linalg.norm(centroid(result.labels) - centroid(scan)) < 0.2  # a thresholded blob, on voxels
    agreeing = enhance(scan, _model(), EnhanceOptions(spacing=0.6, prediction=PREDICTION))
    assert np.linalg.norm(centroid(agreeing.sr) - centroid(scan)) < 0.01


def test_a_model_that_starts_from_agreement_gets_what_agrees_with_the_scan():
    scan = blob(GRIDS["oblique"], sigma=1.5) * 900.0
    model = _model()
    model.card = replace(model.card, consistent_input=True)
    result = enhance(scan, model, EnhanceOptions(spacing=0.6, prediction=PREDICTION, consistency=False))
    expected = enforce_data_consistency(scan, upsample(scan, output_grid(GRIDS["oblique"], 0.6)))
    region = sitk.GetArrayFromImage(result.probability) > 0  # of the identity, far from air, which is not predicted
    assert region.any()
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(result.sr)[region], sitk.GetArrayFromImage(expected)[region], atol=900e-5
    )


def test_oblique_volume_gives_what_the_canonical_one_gives():
    grid = GRIDS["canonical"]
    torch.manual_seed(0)
    model = _model(Generator(GeneratorConfig(2, 1)).eval())
    array = sitk.GetArrayFromImage(blob(grid, 3.0)) + 0.1
    oblique = Grid(grid.size, grid.spacing, GRIDS["oblique"].origin, GRIDS["oblique"].direction)
    options = EnhanceOptions(spacing=0.9, prediction=PREDICTION)
    results = [sitk.GetArrayFromImage(enhance(g.image(array), model, options).sr) for g in (grid, oblique)]
    assert np.allclose(*results, atol=1e-5)


def test_outside_the_mask_the_volume_is_interpolated_and_has_no_cortex():
    grid = GRIDS["left-handed"]
    scan = blob(grid, sigma=4.0) * 10
    inside = np.zeros(grid.shape, np.uint8)
    inside[3:9, 10:30, 10:30] = 1

    class Bright(Threshold):
        def forward(self, x):
            return torch.cat([x + 1, torch.ones_like(x)], dim=1)

    options = EnhanceOptions(0.7, prediction=PREDICTION, consistency=False)
    result = enhance(scan, _model(Bright()), options, mask=grid.image(inside))
    labels = sitk.GetArrayFromImage(result.labels).astype(bool)
    mask = sitk.Resample(grid.image(inside), result.sr, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(labels, sitk.GetArrayFromImage(mask) > 0)
    interpolated = sitk.GetArrayFromImage(upsample(scan, Grid.of(result.sr)))
    difference = sitk.GetArrayFromImage(result.sr) - interpolated
    assert np.allclose(difference[~labels], 0, atol=1e-5)
    assert difference[labels].min() > 1


class Levels(Threshold):
    """Intensity unchanged; three classes by the intensity, which overlap, and perhaps a brain mask after them."""

    classes = 3

    def __init__(self, brain=False):
        super().__init__()
        self.brain = brain

    def forward(self, x):
        likely = [0.4 * torch.ones_like(x), 0.9 * (x > 0.3).float(), 1.0 * (x > 0.6).float()]
        return torch.cat([x, *likely, *([(x > 0.2).float()] if self.brain else [])], dim=1)


@pytest.mark.parametrize("brain", [False, True])
def test_labels_are_the_most_probable_classes(brain):
    names = ("cortex", "white matter", "fluid")
    card = ModelCard(normalization=Normalization("maximum"), classes=names)
    scan = blob(GRIDS["oblique"], 3.0) * 50
    options = EnhanceOptions(0.9, prediction=PREDICTION, consistency=False, refinement=False, uncertainty=2)
    result = enhance(scan, Model(Levels(brain), card), options)
    likely = {name: sitk.GetArrayFromImage(image) for name, image in result.probabilities.items()}
    labels = sitk.GetArrayFromImage(result.labels)
    assert tuple(likely) == names and result.record["classes"] == list(names)
    assert result.probability is result.probabilities["cortex"]
    assert likely["cortex"].max() == pytest.approx(0.4, abs=2**-17)
    np.testing.assert_array_equal(labels == 3, likely["fluid"] == 1)
    np.testing.assert_array_equal(labels == 2, (likely["white matter"] > 0.8) & (likely["fluid"] == 0))
    assert set(np.unique(labels)) == {0, 2, 3}  # the first class stays below the threshold
    assert (result.brain is not None) == brain
    if brain:
        assert sitk.GetArrayFromImage(result.brain).sum() > (labels > 0).sum()
    assert result.record["quality"]["uncertainty"]["volume_ml"] == 0
    assert "No cortex was found." in result.record["warnings"]


def test_measures_are_of_the_first_class_under_its_name():
    card = ModelCard(normalization=Normalization("maximum"), classes=("fluid", "air", "rest"))

    class Everywhere(Threshold):
        classes = 3

        def forward(self, x):
            return torch.cat([x, (x > 0.9) * 0.8, torch.ones_like(x), torch.ones_like(x)], dim=1)

    scan = blob(GRIDS["oblique"], 3.0) * 50
    options = EnhanceOptions(0.9, prediction=PREDICTION, consistency=False, refinement=False, uncertainty=2)
    result = enhance(scan, Model(Everywhere(), card), options)
    assert sitk.GetArrayFromImage(result.probability).max() > 0.5  # but another class is more probable everywhere
    assert result.record["quality"]["cortex"]["volume_ml"] == 0
    assert result.record["quality"]["uncertainty"]["volume_ml"] == 0
    assert "No fluid was found." in result.record["warnings"]


def test_units_of_the_input_are_kept():
    """A scan in other units gives the same cortex and proportional intensities."""
    torch.manual_seed(0)
    model = _model(Generator(GeneratorConfig(2, 1)).eval(), rule="percentile")
    scan = blob(GRIDS["oblique"], 3.0) + 0.05
    options = EnhanceOptions(spacing=0.9, prediction=PREDICTION)
    one, thousand = (enhance(scan * factor, model, options) for factor in (1.0, 1000.0))
    assert np.allclose(sitk.GetArrayFromImage(thousand.sr), 1000 * sitk.GetArrayFromImage(one.sr), rtol=1e-4, atol=1e-2)
    assert np.allclose(*(sitk.GetArrayFromImage(r.probability) for r in (one, thousand)), atol=1e-4)


def test_bias_correction_flattens_a_field():
    grid = Grid((40, 40, 20), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    z, y, x = np.indices(grid.shape)
    ball = ((x - 19.5) ** 2 + (y - 19.5) ** 2 + (2 * (z - 9.5)) ** 2) < 17**2
    texture = np.random.default_rng(0).normal(1, 0.02, grid.shape)
    scan = grid.image((ball * 100 * np.exp((x - 20) / 50) * texture).astype(np.float32))
    plain, corrected = (
        sitk.GetArrayFromImage(
            enhance(scan, _model(), EnhanceOptions(2.0, bias_correction=b, prediction=PREDICTION)).sr
        )
        for b in (False, True)
    )
    inner = (slice(6, 14), slice(6, 14), slice(4, 16))
    assert corrected[inner].std() < 0.5 * plain[inner].std()


def test_record_says_what_was_done():
    scan = blob(GRIDS["oblique"], 3.0)
    record = enhance(scan, _model(), EnhanceOptions(spacing=0.9, prediction=PREDICTION)).record
    assert record["notice"].startswith("Research use only")
    assert record["options"]["spacing"] == 0.9
    assert tuple(json.loads(json.dumps(record))["input"]["grid"]["size"]) == GRIDS["oblique"].size
    assert any("field of view" in warning for warning in record["warnings"])
    assert record["seconds"]["total"] > 0


def test_cancel_leaves_no_result():
    with pytest.raises(Cancelled):
        enhance(blob(GRIDS["oblique"], 3.0), _model(), should_stop=lambda: True)


@pytest.mark.parametrize(
    "options, message",
    [({"spacing": -1}, "spacing"), ({"threshold": 1.5}, "threshold"), ({"interpolator": "cubic"}, "interpolator")],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        enhance(blob(GRIDS["oblique"], 3.0), _model(), EnhanceOptions(**{"prediction": PREDICTION, **options}))


def test_mask_of_another_volume_is_refused():
    grid = GRIDS["oblique"]
    elsewhere = Grid(grid.size, grid.spacing, (500.0, 500.0, 500.0), grid.direction)
    mask = elsewhere.image(np.ones(grid.shape, np.uint8))
    with pytest.raises(ValueError, match="mask"):
        enhance(blob(grid, 3.0), _model(), EnhanceOptions(0.9, prediction=PREDICTION), mask=mask)


@pytest.mark.parametrize(
    "path, name",
    [("a/sub-1_T2w.nii.gz", "sub-1_T2w"), ("x.nrrd", "x"), ("v1.2.MHA", "v1.2"), ("folder/series.3", "series.3")],
)
def test_result_names(path, name):
    assert result_name(path) == name


def test_results_are_written_whole_and_never_replaced_unasked(tmp_path, monkeypatch):
    scan = blob(GRIDS["oblique"], 3.0)
    result = enhance(scan, _model(), EnhanceOptions(spacing=0.9, prediction=PREDICTION))
    paths = save_enhancement(result, scan, tmp_path / "out", "brain")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        p.name for p in result_paths(tmp_path / "out", "brain").values()
    )
    before = {path: path.read_bytes() for path in paths.values()}
    with pytest.raises(ValueError, match="already there"):
        save_enhancement(result, scan, tmp_path / "out", "brain")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("SegSRGANLib.results.files.draw_enhancement", broken)
    with pytest.raises((OSError, ValueError)):
        save_enhancement(result, scan, tmp_path / "out", "brain", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_another_result_of_the_same_name_leaves_nothing_of_the_first(tmp_path):
    scan = blob(GRIDS["oblique"], 3.0)
    options = EnhanceOptions(spacing=0.9, prediction=PREDICTION)
    result = enhance(scan, _model(), options)
    first = save_enhancement(result, scan, tmp_path, "brain", maps=True)
    others = [tmp_path / "notes.txt", tmp_path / "other_cortex.nii.gz"]
    for other in others:
        other.write_text("")
    sr_only = replace(result, probabilities={}, labels=None)
    second = save_enhancement(sr_only, scan, tmp_path, "brain", overwrite=True)
    assert first["labels"].name == "brain_cortex.nii.gz" and not first["labels"].exists()
    assert set(tmp_path.iterdir()) == {*second.values(), *others}


@pytest.mark.parametrize("name", ["", ".", "..", "../kept", "sub/kept", "..\\kept", 3, None])
def test_a_record_names_nothing_outside_its_folder(tmp_path, name):
    (tmp_path / "record.json").write_text(json.dumps({"files": [name, "a_sr.nii.gz"]}))
    assert recorded_files(tmp_path / "record.json") == [tmp_path / "a_sr.nii.gz"]
