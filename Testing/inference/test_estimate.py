"""What a run costs is said before it starts, and what cannot be made is refused."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SegSRGANLib.data.grid import Grid, auto_spacing, check_output, output_grid
from SegSRGANLib.inference import estimate as module
from SegSRGANLib.inference.estimate import check_fits, estimate, plan_line
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.inference.run_context import RunContext
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.utils.duration import in_words

CPU = PredictionOptions(patch=32, device="cpu")


def _grid(spacing, size=(24, 24, 8)):
    return Grid(size, spacing, (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard(training_spacing=(0.5, 1.0)))


@pytest.mark.parametrize(
    "spacing, expected",
    [
        ((0.7, 0.7, 3.0), 0.7),
        ((3.0, 0.7, 0.7), 0.7),
        ((0.6, 0.8, 3.0), 0.8),  # of unequal sides the larger one
        ((0.35, 0.35, 3.0), 0.5),
        ((1.4, 1.4, 5.0), 1.0),
        ((0.859375, 0.859375, 2.0), 0.8594),
    ],
)
def test_auto_spacing_is_that_of_the_slices_within_the_training(spacing, expected):
    assert auto_spacing(_grid(spacing), (0.5, 1.0)) == expected


@pytest.mark.parametrize(
    "spacing, wanted, words",
    [
        ((1.0, 1.0, 20.0), 0.5, "slices of 20 mm"),
        ((0.5, 0.5, 3.0), 0.001, "Voxels of 0.001 mm"),
        ((0.5, 0.5, 3.0), 4.0, "coarser than the scan's slices of 3 mm"),
    ],
)
def test_grids_that_make_no_sense_are_refused_in_a_sentence(model, spacing, wanted, words):
    grid = _grid(spacing)
    scan = grid.image(np.ones(grid.shape, np.float32))
    with pytest.raises(ValueError, match=words) as refused:
        enhance(scan, model, EnhanceOptions(wanted, prediction=CPU))
    assert str(refused.value).count(". ") == 0


def test_grids_of_use_are_not_refused():
    for spacing, wanted in (((0.5, 0.5, 6.5), 0.5), ((0.5, 0.5, 0.5), 0.5), ((1.0, 1.0, 3.0), 3.0)):
        check_output(_grid(spacing), output_grid(_grid(spacing), wanted))


def test_too_many_voxels_are_refused_before_memory_is_taken(model):
    scan = sitk.Image((512, 512, 40), sitk.sitkUInt8)
    scan.SetSpacing((0.9, 0.9, 3.0))
    with pytest.raises(ValueError, match="too large"):
        enhance(scan, model, EnhanceOptions(0.16, prediction=CPU))


def test_what_does_not_fit_into_the_memory_is_refused(model, monkeypatch):
    output = _grid((0.5, 0.5, 0.5), (100, 100, 100))
    check_fits(output, 1)
    monkeypatch.setattr(module, "available_memory", lambda device: 10_000_000)
    with pytest.raises(ValueError, match=r"needs 0\.0 GB of memory, and 0\.0 GB are free|GB are free"):
        check_fits(output, 1)


def test_the_line_says_sizes_mask_patches_time_and_memory(model):
    grid = _grid((0.5, 0.5, 3.0), (80, 64, 10))
    line = plan_line(grid, model, "auto", EnhanceOptions(prediction=CPU), page=False)
    assert line.startswith("0.5 x 0.5 x 3 mm, 10 slices -> 0.5 x 0.5 x 0.5 mm, 80 x 64 x 60 voxels, mask found")
    assert " patches, about " in line and "GB of memory, on the CPU" in line
    assert "no mask" in plan_line(grid, model, "none", EnhanceOptions(prediction=CPU), page=False)


def test_the_estimated_patches_are_those_of_the_run(model):
    grid = _grid((0.7, 0.7, 2.8), (64, 56, 14))
    rng = np.random.default_rng(0)
    scan = grid.image(rng.uniform(50, 100, grid.shape).astype(np.float32))
    options = EnhanceOptions(0.7, prediction=CPU)
    result = enhance(scan, model, options)
    assert result.record["prediction"]["patches"] == estimate(grid, model, "none", options).patches
    assert result.record["output"]["spacing"] == (0.7, 0.7, 0.7)


def test_a_given_mask_makes_the_run_cheaper(model):
    grid = _grid((0.7, 0.7, 2.8), (96, 96, 30))
    array = np.zeros(grid.shape, np.uint8)
    array[10:20, 40:60, 40:60] = 1
    options = EnhanceOptions(0.7, prediction=CPU)
    small, whole = (estimate(grid, model, mask, options) for mask in (grid.image(array), "none"))
    assert small.patches < whole.patches and small.seconds["prediction"] < whole.seconds["prediction"]


def test_steps_take_the_part_of_the_bar_that_they_take_of_the_time():
    said = []
    run = RunContext(lambda fraction, message: said.append(round(fraction, 6)))
    run.expected = {"mask": 2.0, "bias correction": 0.0, "interpolation": 3.0, "prediction": 5.0}
    with run.step("mask"):
        run.report(0.5, "")
    with run.step("interpolation"):  # nothing was corrected
        run.report(0.0, "")
        run.report(1.0, "")
    run.expected["prediction"] = 50.0  # it takes all that is left in any case
    with run.step("prediction"):
        run.report(0.5, "")
    run.finish()
    run.report(1.0, "")
    assert said == [0.1, 0.2, 0.5, 0.75, 1.0]


def test_the_bar_of_a_run_never_falls_and_ends_at_one(model):
    grid = _grid((0.7, 0.7, 2.8), (40, 40, 10))
    scan = grid.image(np.random.default_rng(0).uniform(50, 100, grid.shape).astype(np.float32))
    said = []
    enhance(scan, model, EnhanceOptions(0.7, prediction=CPU), progress=lambda f, text: said.append(f))
    assert said == sorted(said) and said[0] < 0.2 and said[-1] == 1.0


def test_durations_in_words():
    assert [in_words(s) for s in (0.2, 40, 100, 5400, 9000)] == ["1 s", "40 s", "2 min", "1.5 h", "2.5 h"]
