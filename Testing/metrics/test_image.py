"""PSNR and SSIM agree with independent implementations and refuse what they cannot compare."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from support.volume_pairs import volume_pair

from SegSRGANLib.metrics.image import psnr, ssim, ssim_map


def test_psnr_of_a_constant_error():
    truth = np.full((5, 6, 7), 0.4)
    assert psnr(truth, truth + 0.1) == pytest.approx(20)
    assert psnr(10 * truth, 10 * truth + 1, data_range=10) == pytest.approx(20)
    assert psnr(truth, truth) == math.inf


def test_psnr_agrees_with_scikit_image():
    truth, estimate = volume_pair()
    assert psnr(truth, estimate) == pytest.approx(peak_signal_noise_ratio(truth, estimate, data_range=1), abs=1e-6)
    truth, estimate = (truth * 255).astype(np.uint8), (estimate.clip(0, 1) * 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(truth, estimate, data_range=255)
    assert psnr(truth, estimate, data_range=255) == pytest.approx(expected, abs=1e-6)


def test_psnr_sees_only_the_mask():
    truth, estimate = volume_pair()
    mask = np.zeros(truth.shape, np.uint8)
    mask[4:9, 3:9, 2:11] = 3
    spoilt = np.where(mask, estimate, 1e6)
    expected = peak_signal_noise_ratio(truth[mask > 0], estimate[mask > 0], data_range=1)
    assert psnr(truth, spoilt, mask) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(11, 11, 11), (12, 30, 17), (24, 13, 12), (61, 14, 15)])
@pytest.mark.parametrize("data_range", [1.0, 3000.0])
def test_ssim_agrees_with_scikit_image(shape, data_range):
    """Also where a volume is cut into slabs, or is no larger than the window."""
    truth, estimate = (data_range * volume for volume in volume_pair(shape))
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
    truth, estimate = volume_pair()
    assert ssim(truth, truth) == pytest.approx(1, abs=1e-9)
    assert ssim(truth, estimate) == pytest.approx(ssim(estimate, truth), abs=1e-9)
    assert ssim(truth, estimate) < 0.95


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_intensity_measures_refuse_what_they_cannot_compare(measure):
    truth, estimate = volume_pair()
    with pytest.raises(ValueError, match=r"\(18, 16, 14\) and \(17, 16, 14\)"):
        measure(truth, estimate[1:])
    with pytest.raises(ValueError, match="mask is empty"):
        measure(truth, estimate, np.zeros(truth.shape))
    with pytest.raises(ValueError, match="one shape"):
        measure(truth, estimate, np.ones((2, 2, 2)))


def test_ssim_refuses_volumes_smaller_than_its_window():
    with pytest.raises(ValueError, match=r"11 voxels.*\(10, 20, 20\)"):
        ssim(*volume_pair((10, 20, 20)))
