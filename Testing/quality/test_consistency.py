"""Agreement with the scan: planted failures are found, and a result is brought to agreement."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.metrics.image import psnr
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.quality.assessment import quality_warnings
from SegSRGANLib.quality.consistency import acquisition_consistency
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.data_consistency import ForwardModel, enforce_data_consistency, noise_level
from SegSRGANLib.transforms.resample import upsample

GRIDS = awkward_grids()
PREDICTION = PredictionOptions(patch=0, device="cpu")


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_adjoint_and_inverse_are_those_of_the_operator(grid):
    operator = ForwardModel(grid, output_grid(grid, 0.5))
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(output_grid(grid, 0.5).shape, generator=rng, dtype=torch.float64)
    y = torch.rand(operator.grid.shape, generator=rng, dtype=torch.float64)
    assert float((operator.apply(x) * y).sum()) == pytest.approx(float((x * operator.adjoint(y)).sum()), rel=1e-9)
    assert torch.allclose(operator.apply(operator.inverse(y)), y, atol=1e-9)


def test_the_operator_is_the_simulation(truth):
    """The truth, as simulated, agrees exactly with its own acquisition."""
    clean = acquire(truth, (1.5, 1.5, 4.5))
    operator = ForwardModel(Grid.of(clean), Grid.of(truth))
    simulated = operator.apply(torch.from_numpy(sitk.GetArrayFromImage(truth))).numpy()
    assert np.allclose(simulated, sitk.GetArrayFromImage(clean), atol=1e-2)
    found = acquisition_consistency(clean, truth)
    assert found.psnr is None or found.psnr > 90
    assert found.bias == pytest.approx(0, abs=1e-4)
    json.dumps(found.figures(), allow_nan=False)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_the_map_lies_on_the_scan(grid):
    """An error planted at a place is found at that place, for every orientation of the axes."""
    smooth = blob(output_grid(grid, 0.5), 6.0) * 100 + 20
    spot = blob(output_grid(grid, 0.5), 1.2, offset=(2.0, 1.0, -3.0)) * 60
    found = acquisition_consistency(acquire(smooth, _coarse(grid)), smooth + spot)
    array = sitk.GetArrayFromImage(spot)
    peak = spot.TransformIndexToPhysicalPoint([int(i) for i in reversed(np.unravel_index(array.argmax(), array.shape))])
    assert np.linalg.norm(np.array(found.position) - np.array(peak)) < 2.5
    assert found.bias > 0


def _coarse(grid):
    return [max(s, 0.5) for s in grid.spacing]


def _planted(name, sr):
    array = sitk.GetArrayFromImage(sr)
    middle = len(array) // 2
    if name == "erased lesion":
        array -= sitk.GetArrayFromImage(blob(Grid.of(sr), 3.0, offset=(12.0, 8.0, 3.0))) * 900
    elif name == "swapped slices":
        a, b = slice(middle, middle + 3), slice(middle + 9, middle + 12)
        array[a], array[b] = array[b].copy(), array[a].copy()
    elif name == "shifted slab":
        array[middle : middle + 6] = np.roll(array[middle : middle + 6], 2, axis=2)
    return Grid.of(sr).image(array)


@pytest.mark.parametrize("name", ["erased lesion", "swapped slices", "shifted slab"])
def test_planted_failures_are_found_and_a_sound_result_is_not_accused(scan, truth, name):
    sound = enforce_data_consistency(scan, upsample(scan, Grid.of(truth)))
    sound = sound + _noise(Grid.of(sound), 20.0)
    warnings = quality_warnings({"consistency": acquisition_consistency(scan, sound).figures()})
    assert warnings == []
    bad = acquisition_consistency(scan, _planted(name, sound))
    assert quality_warnings({"consistency": bad.figures()})
    assert bad.z_max > 1.3 * acquisition_consistency(scan, sound).z_max


def _noise(grid, deviation):
    return grid.image((deviation * np.random.default_rng(1).standard_normal(grid.shape)).astype(np.float32))


def test_wrong_spacing_is_found(scan, truth):
    grid = Grid.of(truth)
    stretched = Grid(grid.size, (1.5, 1.5, 1.5 * 1.06), grid.origin, grid.direction)
    bad = upsample(stretched.image(sitk.GetArrayFromImage(truth)), grid)
    good, found = (acquisition_consistency(scan, volume).psnr for volume in (truth, bad))
    assert found < good - 8


def test_a_mask_of_one_voxel_has_no_contrast_and_a_finite_map(scan, truth):
    mask = scan * 0
    mask[scan.GetSize()[0] // 2, scan.GetSize()[1] // 2, scan.GetSize()[2] // 2] = 1
    found = acquisition_consistency(scan, truth * 0.5, sitk.Cast(mask, sitk.sitkUInt8))
    assert np.isfinite(sitk.GetArrayFromImage(found.z_map)).all() and np.isfinite(found.z_max)


def test_consistency_agrees_with_the_scan_and_comes_closer_to_the_truth(scan, truth):
    blurred = sitk.DiscreteGaussian(truth, 4.0)
    projected = enforce_data_consistency(scan, blurred)
    operator = ForwardModel(Grid.of(scan), Grid.of(truth))
    measured = sitk.GetArrayFromImage(scan)
    before, after = (
        np.abs(operator.apply(torch.from_numpy(sitk.GetArrayFromImage(v))).numpy() - measured).mean()
        for v in (blurred, projected)
    )
    assert after < 0.3 * before
    reference = sitk.GetArrayFromImage(truth)
    scores = [psnr(reference, sitk.GetArrayFromImage(v), data_range=2700) for v in (blurred, projected)]
    assert scores[1] > scores[0] + 1


def test_what_agrees_already_stays_as_it_is(truth):
    clean = acquire(truth, (1.5, 1.5, 4.5))
    assert np.allclose(
        sitk.GetArrayFromImage(enforce_data_consistency(clean, truth)), sitk.GetArrayFromImage(truth), atol=1e-2
    )


def test_the_noise_of_the_scan_stays_in_the_scan(truth):
    """The true volume agrees with a noisy scan but for the noise, which must not come back as anatomy."""
    noisy = acquire(truth, (1.5, 1.5, 4.5), noise=80.0)
    operator = ForwardModel(Grid.of(noisy), Grid.of(truth))
    reference = sitk.GetArrayFromImage(truth)
    residual = sitk.GetArrayFromImage(noisy) - operator.apply(torch.from_numpy(reference)).numpy()
    undamped = operator.inverse(torch.from_numpy(residual).double()).numpy()
    added = sitk.GetArrayFromImage(enforce_data_consistency(noisy, truth)) - reference
    assert np.std(added) < 0.4 * np.std(undamped)


def test_outside_the_mask_nothing_changes(scan, truth):
    blurred = sitk.DiscreteGaussian(truth, 4.0)
    inside = np.zeros(Grid.of(truth).shape, np.uint8)
    inside[:, 10:20] = 1
    made = sitk.GetArrayFromImage(enforce_data_consistency(scan, blurred, Grid.of(truth).image(inside)))
    whole, before = (sitk.GetArrayFromImage(v) for v in (enforce_data_consistency(scan, blurred), blurred))
    assert np.array_equal(made[inside == 0], before[inside == 0])
    assert np.array_equal(made[inside == 1], whole[inside == 1])


def test_without_thick_slices_nothing_changes(truth):
    scan = upsample(truth, output_grid(Grid.of(truth), 2.0))
    made = enforce_data_consistency(scan, truth)
    assert np.array_equal(sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(truth))


def test_inside_the_slices_the_scan_is_not_sharpened(truth):
    """A blur that is not a slice's stays: only along z the result gains."""
    grid = Grid.of(truth)
    scan = acquire(truth, (2.0, 2.0, 4.5))
    spline = upsample(scan, grid)
    made = enforce_data_consistency(scan, spline)
    change = np.abs(np.fft.fftn(sitk.GetArrayFromImage(made) - sitk.GetArrayFromImage(spline)))
    signal = np.abs(np.fft.fftn(sitk.GetArrayFromImage(spline)))
    assert change[0].sum() < 0.02 * signal[0].sum()
    assert change[4:8].sum() > 0.2 * signal[4:8].sum()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("percent", [1.0, 4.0])
def test_the_noise_is_measured_inside_the_slices(truth, order, percent):
    clean = acquire(truth, (1.5, 1.5, 4.5))
    scale = np.percentile(sitk.GetArrayFromImage(clean), 99.5)
    noisy = sitk.PermuteAxes(acquire(truth, (1.5, 1.5, 4.5), noise=percent / 100 * float(scale)), order)
    edges = noise_level(clean)
    assert edges < 0.02
    assert percent / 100 * 0.9 < noise_level(noisy) < percent / 100 + edges


def test_without_anything_to_measure_there_is_no_noise():
    assert noise_level(sitk.Image((6, 6, 3), sitk.sitkFloat32)) == 0
    assert noise_level(sitk.Image((1, 1, 3), sitk.sitkFloat32) + 1) == 0


def test_other_axes_are_refused(scan):
    with pytest.raises(ValueError, match="same axes"):
        acquisition_consistency(scan, sitk.PermuteAxes(scan, (2, 0, 1)))


def test_consistency_option_makes_the_result_agree():
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard())
    scan = blob(GRIDS["permuted"], 4.0) * 100 + 1
    plain, agreed = (
        enhance(scan, model, EnhanceOptions(0.9, prediction=PREDICTION, consistency=c)) for c in (False, True)
    )
    before, after = (acquisition_consistency(scan, result.sr).psnr for result in (plain, agreed))
    assert after > before + 6
    assert agreed.record["quality"]["consistency"]["psnr"] == pytest.approx(after, abs=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(plain.labels), sitk.GetArrayFromImage(agreed.labels))
