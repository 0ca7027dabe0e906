"""The figures of the tables, against independent implementations and cases that can be worked out by hand."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.metrics.evaluation import (
    assd,
    compare_segmentations,
    dice,
    evaluate,
    hd95,
    psnr,
    ssim,
    ssim_map,
    volume_bias,
)
from SegSRGANLib.metrics.surface_distance import surface_distances

GRID = Grid((14, 16, 18), (0.5, 0.7, 1.1), (3.0, -2.0, 7.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def _pair(shape=(18, 16, 14), seed=0, noise=0.08):
    """A smooth volume in [0, 1] and a noisy estimate of it."""
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.random(shape), 1.5)
    truth = ((truth - truth.min()) / np.ptp(truth)).astype(np.float32)
    return truth, (truth + noise * rng.standard_normal(shape)).astype(np.float32)


def _segmentations(seed, shape=(17, 15, 19)):
    """Two ragged shapes that overlap, with holes, islands and voxels on the volume's border."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    return field > 0, field + 0.15 * field.std() * ndimage.gaussian_filter(rng.standard_normal(shape), 1) * 8 > 0.02


# ------------------------------------------------------------------------------------------------ intensities


def test_psnr_of_a_constant_error():
    truth = np.full((5, 6, 7), 0.4)
    assert psnr(truth, truth + 0.1) == pytest.approx(20)
    assert psnr(10 * truth, 10 * truth + 1, data_range=10) == pytest.approx(20)
    assert psnr(truth, truth) == math.inf


def test_psnr_agrees_with_scikit_image():
    truth, estimate = _pair()
    assert psnr(truth, estimate) == pytest.approx(peak_signal_noise_ratio(truth, estimate, data_range=1), abs=1e-6)
    truth, estimate = (truth * 255).astype(np.uint8), (estimate.clip(0, 1) * 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(truth, estimate, data_range=255)
    assert psnr(truth, estimate, data_range=255) == pytest.approx(expected, abs=1e-6)


def test_psnr_sees_only_the_mask():
    truth, estimate = _pair()
    mask = np.zeros(truth.shape, np.uint8)
    mask[4:9, 3:9, 2:11] = 3
    spoilt = np.where(mask, estimate, 1e6)
    expected = peak_signal_noise_ratio(truth[mask > 0], estimate[mask > 0], data_range=1)
    assert psnr(truth, spoilt, mask) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(11, 11, 11), (12, 30, 17), (24, 13, 12), (61, 14, 15)])
@pytest.mark.parametrize("data_range", [1.0, 3000.0])
def test_ssim_agrees_with_scikit_image(shape, data_range):
    """Also where a volume is cut into slabs, or is no larger than the window."""
    truth, estimate = (data_range * volume for volume in _pair(shape))
    expected, expected_map = structural_similarity(
        truth.astype(np.float64),
        estimate.astype(np.float64),
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(truth, estimate, data_range=data_range) == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(ssim_map(truth, estimate, data_range), expected_map, atol=1e-5)
    mask = truth > 0.6 * data_range
    assert ssim(truth, estimate, mask, data_range) == pytest.approx(expected_map[mask].mean(), abs=1e-6)


def test_ssim_of_equal_volumes_and_its_symmetry():
    truth, estimate = _pair()
    assert ssim(truth, truth) == pytest.approx(1, abs=1e-9)
    assert ssim(truth, estimate) == pytest.approx(ssim(estimate, truth), abs=1e-9)
    assert ssim(truth, estimate) < 0.95


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_intensity_measures_refuse_what_they_cannot_compare(measure):
    truth, estimate = _pair()
    with pytest.raises(ValueError, match=r"\(18, 16, 14\) and \(17, 16, 14\)"):
        measure(truth, estimate[1:])
    with pytest.raises(ValueError, match="mask is empty"):
        measure(truth, estimate, np.zeros(truth.shape))
    with pytest.raises(ValueError, match="one shape"):
        measure(truth, estimate, np.ones((2, 2, 2)))


def test_ssim_refuses_volumes_smaller_than_its_window():
    with pytest.raises(ValueError, match=r"11 voxels.*\(10, 20, 20\)"):
        ssim(*_pair((10, 20, 20)))


# ---------------------------------------------------------------------------------------------- segmentations


def test_dice_and_volume_bias_by_counting():
    truth = np.zeros((4, 5, 6), np.uint8)
    estimate = np.zeros_like(truth)
    truth[0, 0, :4] = 5
    estimate[0, 0, 2:] = 1
    estimate[1, 1, :2] = 1
    assert dice(truth, estimate) == pytest.approx(2 * 2 / (4 + 6))
    assert volume_bias(truth, estimate) == pytest.approx(50)
    assert volume_bias(estimate, truth) == pytest.approx(-100 / 3)
    assert dice(truth, truth) == 1


def test_empty_segmentations():
    empty, full = np.zeros((6, 6, 6), bool), np.ones((6, 6, 6), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == 0
    assert math.isnan(volume_bias(empty, full))
    assert volume_bias(full, empty) == -100
    for pair in ((empty, empty), (empty, full), (full, empty)):
        assert math.isnan(hd95(*pair, (1, 1, 1)))
        assert math.isnan(assd(*pair, (1, 1, 1)))


@pytest.mark.parametrize(("axis", "gap"), [(0, 1.5), (1, 0.8), (2, 0.6)])
def test_parallel_sheets_are_their_gap_apart(axis, gap):
    """Two sheets four voxels apart are four spacings apart, along each axis: (x, y, z) against (z, y, x)."""
    truth, estimate = np.zeros((2, 12, 12, 12), bool)
    np.moveaxis(truth, axis, 0)[3] = True
    np.moveaxis(estimate, axis, 0)[7] = True
    for distances in surface_distances(truth, estimate, (0.6, 0.8, 1.5)):
        np.testing.assert_allclose(distances, np.full(144, 4 * gap), rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.6, 3.0)])
def test_distances_agree_with_scipy(seed, spacing):
    """The definitions of MONAI: surface = what erosion removes, HD95 the larger direction, ASSD over both."""
    truth, estimate = _segmentations(seed)
    edges = [mask ^ ndimage.binary_erosion(mask) for mask in (truth, estimate)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing[::-1]) for edge in edges]
    from_truth, from_estimate = maps[1][edges[0]], maps[0][edges[1]]
    expected_hd95 = max(np.percentile(from_truth, 95), np.percentile(from_estimate, 95))
    expected_assd = (from_truth.sum() + from_estimate.sum()) / (from_truth.size + from_estimate.size)
    found = surface_distances(truth, estimate, spacing)
    np.testing.assert_allclose(found[0], from_truth, atol=1e-5)
    np.testing.assert_allclose(found[1], from_estimate, atol=1e-5)
    assert hd95(truth, estimate, spacing) == pytest.approx(expected_hd95, abs=1e-5)
    assert assd(truth, estimate, spacing) == pytest.approx(expected_assd, abs=1e-5)
    assert hd95(estimate, truth, spacing) == pytest.approx(expected_hd95, abs=1e-5)
    assert expected_hd95 > expected_assd > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (0.45, 0.6, 3.0)])
def test_distances_agree_with_monai(seed, spacing):
    monai = pytest.importorskip("monai.metrics", reason="needs MONAI")
    truth, estimate = _segmentations(seed)
    pair = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (estimate, truth)]
    step = spacing[::-1]  # (z, y, x)
    expected_hd95 = monai.compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=step)
    expected_assd = monai.compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=step)
    expected_dice = monai.compute_dice(*pair, include_background=True)
    found = compare_segmentations(truth, estimate, spacing)
    assert found["hd95"] == pytest.approx(float(expected_hd95), abs=1e-4)
    assert found["assd"] == pytest.approx(float(expected_assd), abs=1e-4)
    assert found["dice"] == pytest.approx(float(expected_dice), abs=1e-4)


def test_distances_of_a_segmentation_to_itself_are_zero():
    truth, _ = _segmentations(1)
    assert hd95(truth, truth, (0.5, 0.5, 2)) == assd(truth, truth, (0.5, 0.5, 2)) == 0


def test_a_speck_far_away_moves_hd95_less_than_the_maximum():
    """HD95 forgives what is less than 5 % of the surface."""
    truth = np.zeros((20, 20, 40), bool)
    truth[4:16, 4:16, 4:16] = True
    estimate = truth.copy()
    estimate[10, 10, 38] = True
    assert hd95(truth, estimate, (1, 1, 1)) == 0
    assert max(d.max() for d in surface_distances(truth, estimate, (1, 1, 1))) == pytest.approx(23)


def test_distances_refuse_bad_input():
    truth, estimate = _segmentations(0)
    with pytest.raises(ValueError, match="one shape"):
        hd95(truth, estimate[1:], (1, 1, 1))
    with pytest.raises(ValueError, match=r"positive numbers in mm, not \(1, 0, 1\)"):
        assd(truth, estimate, (1, 0, 1))


# ------------------------------------------------------------------------------------------------- evaluation


def _images():
    truth, estimate = _pair()
    labels = np.digitize(truth, [0.3, 0.5, 0.7]).astype(np.uint8) * 5  # 0, 5, 10, 15
    return GRID.image(1800 * estimate), GRID.image(1800 * truth), GRID.image(labels)


def test_evaluate_follows_the_protocol():
    sr, hr, truth = _images()
    found_labels = (sitk.GetArrayFromImage(sr) > 900).astype(np.uint8)
    mask = (sitk.GetArrayFromImage(hr) > 500).astype(np.uint8)
    scores = evaluate(sr, hr, GRID.image(found_labels), truth, GRID.image(mask), truth_label=10)
    high, low = sitk.GetArrayFromImage(hr) / 1800, sitk.GetArrayFromImage(sr) / 1800
    wanted = sitk.GetArrayFromImage(truth) == 10
    expected = {
        "psnr": psnr(high, low),
        "ssim": ssim(high, low),
        "psnr_mask": psnr(high, low, mask),
        "ssim_mask": ssim(high, low, mask),
        "dice": dice(wanted, found_labels),
        "hd95": hd95(wanted, found_labels, GRID.spacing),
        "assd": assd(wanted, found_labels, GRID.spacing),
        "volume_bias": volume_bias(wanted, found_labels),
    }
    assert set(scores) == set(expected)
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-4), name
    assert scores["psnr"] != pytest.approx(scores["psnr_mask"], abs=0.01)


def test_evaluate_does_not_depend_on_the_intensity_unit():
    sr, hr, _ = _images()
    assert evaluate(sr, hr) == pytest.approx(evaluate(sr * 7.5, hr * 7.5), rel=1e-4)
    assert set(evaluate(sr, hr)) == {"psnr", "ssim"}


def test_evaluate_takes_integer_volumes_and_leaves_its_input_alone():
    sr, hr, _ = _images()
    before = sitk.GetArrayFromImage(hr).copy()
    integers = evaluate(sitk.Cast(sr, sitk.sitkInt16), sitk.Cast(hr, sitk.sitkInt16))
    assert integers["psnr"] == pytest.approx(evaluate(sr, hr)["psnr"], abs=0.05)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(hr), before)


def _moved(image):
    other = sitk.Image(image)
    other.SetOrigin((3.0, -2.0, 7.5))
    return other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda sr, hr, t: (_moved(sr), hr), "super-resolved volume must be on the grid.*7.5"),
        (lambda sr, hr, t: (sr[1:, :, :], hr), r"super-resolved volume.*size \(13, 16, 18\)"),
        (lambda sr, hr, t: (sr, hr, t > 5, _moved(t), None, 5), "true segmentation must be on the grid"),
        (lambda sr, hr, t: (sr, hr, _moved(t), t, None, 5), "The segmentation must be on the grid"),
        (lambda sr, hr, t: (sr, hr, None, None, _moved(t)), "mask must be on the grid"),
        (lambda sr, hr, t: (sr, hr, t), "give both"),
        (lambda sr, hr, t: (sr, hr, None, t), "give both"),
        (lambda sr, hr, t: (sr, hr, t > 5, t), "truth holds the labels 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr, t, t, None, 5), "result holds the labels 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr, t > 5, t, None, 4), "no label 4; its labels are: 5, 10, 15"),
        (lambda sr, hr, t: (sr, hr * 0), "no positive intensity"),
        (lambda sr, hr, t: (sr * float("nan"), hr), "super-resolved volume holds values that are not numbers"),
        (lambda sr, hr, t: (sr, hr, None, None, t * 0), "mask is empty"),
    ],
)
def test_evaluate_refuses_with_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        evaluate(*arguments(*_images()))
    assert "\n" not in str(caught.value)
