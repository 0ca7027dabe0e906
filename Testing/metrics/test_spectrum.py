"""Energy by spatial frequency: equal volumes, a blur with a known response, one wave."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SegSRGANLib.metrics import energy_ratios
from SegSRGANLib.metrics.spectrum import BANDS

MASK = np.ones((40, 12, 14), bool)


def _noise() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 10, MASK.shape)


def test_equal_volumes_hold_the_same_energy_in_every_band() -> None:
    truth = _noise()
    assert energy_ratios(truth, truth, MASK) == {band: pytest.approx(1.0) for band in BANDS}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_blur_along_the_axis_leaves_its_squared_response(axis: int) -> None:
    truth = np.moveaxis(np.random.default_rng(1).normal(0, 1, (400, 10, 10)), 0, axis)
    blurred = ndimage.convolve1d(truth, [0.25, 0.5, 0.25], axis=axis, mode="wrap")
    ratios = energy_ratios(truth, blurred, np.ones(truth.shape, bool), axis)
    for (low, high), ratio in ratios.items():
        f = np.linspace(low, high, 200)
        assert ratio == pytest.approx(float(np.mean((0.5 + 0.5 * np.cos(2 * np.pi * f)) ** 2)), abs=0.03)


def test_a_wave_lies_in_its_band_alone() -> None:
    truth = _noise()
    wave = 50 * np.cos(2 * np.pi * 0.25 * np.arange(40))[:, None, None]
    ratios = energy_ratios(truth, truth + wave, MASK)
    assert ratios[0.2, 0.3] > 2
    assert all(ratios[band] == pytest.approx(1.0, abs=1e-6) for band in BANDS if band != (0.2, 0.3))


def test_only_what_lies_in_the_mask_counts() -> None:
    truth, half = _noise(), MASK.copy()
    half[:, 6:] = False
    spoiled = truth.copy()
    spoiled[:, 6:] = 1e6
    assert energy_ratios(truth, spoiled, half) == {band: pytest.approx(1.0) for band in BANDS}


def test_a_constant_truth_is_refused() -> None:
    with pytest.raises(ValueError, match="no energy"):
        energy_ratios(np.full(MASK.shape, 3.0), _noise(), MASK)
