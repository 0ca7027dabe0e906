"""Overlap and surface distances agree with independent implementations and refuse what they cannot compare."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from SegSRGANLib.metrics.segmentation import assd, compare_segmentations, dice, hd95, volume_bias
from SegSRGANLib.metrics.surface_distance import surface_distances


def _segmentations(seed, shape=(17, 15, 19)):
    """Two ragged shapes that overlap, with holes, islands and voxels on the volume's border."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    return field > 0, field + 0.15 * field.std() * ndimage.gaussian_filter(rng.standard_normal(shape), 1) * 8 > 0.02


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
