"""Consistency with the scan, uncertainty and shape: known operators, planted failures, independent formulas."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from skimage.measure import euler_number as skimage_euler_number
from support.grids import awkward_grids, blob

from SegSRGANLib.data.grid import Grid, output_grid, place_in_words
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.inference.pipeline import EnhanceOptions, enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.metrics.evaluation import psnr
from SegSRGANLib.models.checkpoint import Model, ModelCard
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.quality.assessment import quality_warnings
from SegSRGANLib.quality.consistency import Observation, acquisition_consistency, make_consistent, noise_level
from SegSRGANLib.quality.morphometry import describe_segmentation, euler_number, surface_area
from SegSRGANLib.quality.uncertainty import MOST_RUNS, describe_spread, predict_repeatedly, variant
from SegSRGANLib.results.files import save_enhancement
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import upsample

GRIDS = awkward_grids()
PREDICTION = PredictionOptions(patch=0, device="cpu")


@pytest.fixture(scope="module")
def truth():
    """The middle of a phantom, 1 mm."""
    brain = neonatal_phantom(1.5, seed=3).t2w
    size = brain.GetSize()
    return brain[8 : size[0] - 8, 8 : size[1] - 8, 8 : 8 + 48]


@pytest.fixture(scope="module")
def scan(truth):
    return acquire(truth, (1.5, 1.5, 4.5), noise=15.0)


# ------------------------------------------------------------------------------------------------- consistency


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_adjoint_and_inverse_are_those_of_the_operator(grid):
    operator = Observation(grid, output_grid(grid, 0.5))
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(output_grid(grid, 0.5).shape, generator=rng, dtype=torch.float64)
    y = torch.rand(operator.grid.shape, generator=rng, dtype=torch.float64)
    assert float((operator.apply(x) * y).sum()) == pytest.approx(float((x * operator.adjoint(y)).sum()), rel=1e-9)
    assert torch.allclose(operator.apply(operator.inverse(y)), y, atol=1e-9)


def test_the_operator_is_the_simulation(truth):
    """The truth, as simulated, agrees exactly with its own acquisition."""
    clean = acquire(truth, (1.5, 1.5, 4.5))
    operator = Observation(Grid.of(clean), Grid.of(truth))
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
    sound = make_consistent(scan, upsample(scan, Grid.of(truth)))
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


def test_consistency_agrees_with_the_scan_and_comes_closer_to_the_truth(scan, truth):
    blurred = sitk.DiscreteGaussian(truth, 4.0)
    projected = make_consistent(scan, blurred)
    operator = Observation(Grid.of(scan), Grid.of(truth))
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
    assert np.allclose(sitk.GetArrayFromImage(make_consistent(clean, truth)), sitk.GetArrayFromImage(truth), atol=1e-2)


def test_the_noise_of_the_scan_stays_in_the_scan(truth):
    """The true volume agrees with a noisy scan but for the noise, which must not come back as anatomy."""
    noisy = acquire(truth, (1.5, 1.5, 4.5), noise=80.0)
    operator = Observation(Grid.of(noisy), Grid.of(truth))
    reference = sitk.GetArrayFromImage(truth)
    residual = sitk.GetArrayFromImage(noisy) - operator.apply(torch.from_numpy(reference)).numpy()
    undamped = operator.inverse(torch.from_numpy(residual).double()).numpy()
    added = sitk.GetArrayFromImage(make_consistent(noisy, truth)) - reference
    assert np.std(added) < 0.4 * np.std(undamped)


def test_outside_the_mask_nothing_changes(scan, truth):
    blurred = sitk.DiscreteGaussian(truth, 4.0)
    inside = np.zeros(Grid.of(truth).shape, np.uint8)
    inside[:, 10:20] = 1
    made = sitk.GetArrayFromImage(make_consistent(scan, blurred, Grid.of(truth).image(inside)))
    whole, before = (sitk.GetArrayFromImage(v) for v in (make_consistent(scan, blurred), blurred))
    assert np.array_equal(made[inside == 0], before[inside == 0])
    assert np.array_equal(made[inside == 1], whole[inside == 1])


def test_without_thick_slices_nothing_changes(truth):
    scan = upsample(truth, output_grid(Grid.of(truth), 2.0))
    made = make_consistent(scan, truth)
    assert np.array_equal(sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(truth))


def test_inside_the_slices_the_scan_is_not_sharpened(truth):
    """A blur that is not a slice's stays: only along z the result gains."""
    grid = Grid.of(truth)
    scan = acquire(truth, (2.0, 2.0, 4.5))
    spline = upsample(scan, grid)
    made = make_consistent(scan, spline)
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


# ------------------------------------------------------------------------------------------------- uncertainty


def test_variants_are_all_different():
    assert len({variant(run) for run in range(MOST_RUNS)}) == MOST_RUNS
    assert variant(0) == ((), (0, 0, 0))


def _network(steer):
    """Intensity times a position-dependent factor: its answer depends on how the volume lies."""

    def predict(volume, run):
        ramp = 1 + steer * torch.arange(volume.shape[2]) / volume.shape[2]
        intensity = volume * ramp
        return torch.stack([intensity, (intensity > 0.5).float()])

    return predict


def test_what_does_not_depend_on_the_place_has_no_spread():
    volume = torch.rand(9, 10, 11, generator=torch.Generator().manual_seed(0))
    first, spread = predict_repeatedly(_network(0.0), volume, 16, 0.5)
    assert torch.equal(first[0], volume)
    assert spread.deviation.max() < 1e-6 and spread.entropy.max() < 1e-4
    assert set(spread.cortex_voxels) == {int((volume >= 0.5).sum())}


def test_spread_is_the_standard_deviation_of_the_answers():
    volume = torch.rand(6, 7, 8, generator=torch.Generator().manual_seed(0))
    answers = []
    predict = _network(0.3)

    def kept(copy, run):
        answers.append((predict(copy, run), variant(run)))
        return answers[-1][0]

    _, spread = predict_repeatedly(kept, volume, 8, 0.5)
    back = []
    for answer, (flipped, (z, y, x)) in answers:
        array = answer[0].numpy()[z:, y:, x:]
        for axis in flipped:
            array = np.flip(array, axis)
        back.append(array)
    assert np.allclose(spread.deviation, np.std(back, axis=0, ddof=1), atol=1e-5)
    low, high = describe_spread(spread, np.ones((6, 7, 8)), 0.001, 1.0)["volume_interval_ml"]
    counts = np.array(spread.cortex_voxels) / 1000
    assert (low + high) / 2 == pytest.approx(counts.mean(), abs=1e-3) and high - low > counts.std()


def test_asking_for_uncertainty_does_not_change_the_result(tmp_path):
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard())
    grid = GRIDS["oblique"]
    scan = blob(grid, 4.0) * 100 + 1
    mask = grid.image((sitk.GetArrayFromImage(scan) > 20).astype(np.uint8))
    plain = enhance(scan, model, EnhanceOptions(0.9, prediction=PREDICTION), mask=mask)
    asked = enhance(scan, model, EnhanceOptions(0.9, prediction=PREDICTION, uncertainty=4), mask=mask)
    assert all(
        np.array_equal(*(sitk.GetArrayFromImage(getattr(r, name)) for r in (plain, asked)))
        for name in ("sr", "probability", "labels")
    )
    cortex, voxel = asked.record["quality"]["cortex"], 0.9**3 / 1000
    assert cortex["volume_ml"] == pytest.approx(sitk.GetArrayFromImage(asked.labels).sum() * voxel, abs=1e-3)
    assert cortex["expected_volume_ml"] == pytest.approx(
        sitk.GetArrayFromImage(asked.probability).sum() * voxel, abs=1e-3
    )
    figures = asked.record["quality"]["uncertainty"]
    assert figures["runs"] == 4 and figures["deviation_percent"] > 0 and 0 <= figures["entropy_bits"] <= 1
    json.dumps(asked.record, allow_nan=False)
    deviation = sitk.GetArrayFromImage(asked.maps["sr-deviation"])
    assert Grid.of(asked.maps["sr-deviation"]) == Grid.of(asked.sr) and deviation.max() > 0
    assert "uncertainty" not in plain.record["quality"] and set(plain.maps) == {"consistency"}
    paths = save_enhancement(asked, scan, tmp_path, "a", maps=True)
    assert {"consistency", "sr-deviation", "cortex-entropy"} < set(paths) and all(p.is_file() for p in paths.values())
    assert len(save_enhancement(asked, scan, tmp_path / "few", "a")) == 5


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


@pytest.mark.parametrize("runs", [1, -1, MOST_RUNS + 1])
def test_impossible_numbers_of_runs(runs):
    with pytest.raises(ValueError, match="uncertainty"):
        EnhanceOptions(uncertainty=runs)


# -------------------------------------------------------------------------------------------------- morphometry


def _solid(size=24, spacing=0.5):
    z, y, x = np.indices((size,) * 3) - (size - 1) / 2
    return np.sqrt(x**2 + y**2 + z**2) * spacing


def _image(array, spacing=(0.5, 0.5, 0.5)):
    image = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    image.SetSpacing(spacing)
    return image


def test_sphere_has_its_volume_surface_and_euler_number():
    radius = 9.0
    figures = describe_segmentation(_image(_solid(48) < radius))
    assert figures["volume_ml"] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.02)
    assert figures["surface_cm2"] == pytest.approx(4 * np.pi * radius**2 / 100, rel=0.03)
    assert (figures["euler_number"], figures["components"], figures["largest_component"]) == (1, 1, 1.0)


def test_shell_and_ring():
    distance = _solid()
    assert euler_number((distance < 5) & (distance > 3)) == 2  # a cavity
    y, x = np.indices((15, 15)) - 7
    ring = np.zeros((5, 15, 15), bool)
    ring[1:4] = (np.hypot(x, y) < 6) & (np.hypot(x, y) > 3)
    assert euler_number(ring) == 0  # a tunnel


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_euler_number_of_noise_is_scikit_images(share):
    noise = np.random.default_rng(0).random((9, 10, 11)) < share
    assert euler_number(noise) == skimage_euler_number(noise, connectivity=3)


def test_surface_at_the_border_of_the_volume_counts():
    assert surface_area(_image(np.ones((20, 20, 20)))) == pytest.approx(6 * 100, rel=0.15)


def test_pieces_and_nothing():
    array = np.zeros((9, 9, 9))
    array[1:3, 1:3, 1:3], array[5:8, 5:8, 5:8] = 1, 1
    figures = describe_segmentation(_image(array), sitk.Cast(_image(array), sitk.sitkFloat32) * 0.5)
    assert figures["components"] == 2 and figures["largest_component"] == round(27 / 35, 4)
    assert figures["expected_volume_ml"] == pytest.approx(figures["volume_ml"] / 2, abs=1e-4)
    nothing = describe_segmentation(_image(np.zeros((4, 4, 4))))
    assert (nothing["volume_ml"], nothing["components"], nothing["largest_component"]) == (0, 0, None)
    assert "No cortex" in quality_warnings({"consistency": _quiet(), "cortex": nothing})[0]


def _quiet():
    place = {"z_max_position_lps": [0, 0, 0], "slice": 0, "region": "mask"}
    return {"psnr": 40.0, "z_max": 1.0, "slice_z_max": 0.0, **place}


@pytest.mark.parametrize(
    ("lps", "words"),
    [
        ((12.4, -5.0, 30.0), "12 mm left, 5 mm anterior, 30 mm superior"),
        ((-3.0, 7.6, -1.0), "3 mm right, 8 mm posterior, 1 mm inferior"),
    ],
)
def test_the_place_of_a_warning_is_said_in_directions(lps, words):
    figures = _quiet() | {"z_max": 12.0, "z_max_position_lps": list(lps)}
    (warning,) = quality_warnings({"consistency": figures})
    assert f"Around {words} of the origin" in warning and "LPS" not in warning


def test_the_words_agree_with_the_axes_of_a_volume():
    """Right and anterior by the letters that ITK itself gives to the axes."""
    image = sitk.DICOMOrient(sitk.Image(5, 6, 7, sitk.sitkUInt8), "RAS")  # axes run to the right, front and top
    start = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
    end = np.array(image.TransformIndexToPhysicalPoint((4, 5, 6)))
    assert place_in_words(end - start) == "4 mm right, 5 mm anterior, 6 mm superior"
