"""The Dice that forgives one voxel, and the truth with nothing above the slices' Nyquist frequency."""

from __future__ import annotations

import numpy as np
import pytest

from SegSRGANLib.metrics.segmentation import dice, tolerant_dice
from SegSRGANLib.transforms.line_operators import band_limit_matrix


def _ball(radius: float, shift: int = 0) -> np.ndarray:
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    return z**2 + y**2 + (x - shift) ** 2 < radius**2


def test_a_shift_by_one_voxel_is_forgiven_and_one_by_three_is_not() -> None:
    truth = _ball(9)
    assert tolerant_dice(truth, _ball(9, 1)) == 1.0
    assert dice(truth, _ball(9, 1)) < 0.95
    assert dice(truth, _ball(9, 3)) < tolerant_dice(truth, _ball(9, 3)) < 0.97


def test_it_agrees_with_a_search_over_neighbours() -> None:
    rng = np.random.default_rng(0)
    truth, estimate = rng.random((2, 7, 8, 9)) < 0.1

    def near(other: np.ndarray, place: tuple[int, ...]) -> bool:
        places = np.array(np.nonzero(other)).T
        return bool((np.abs(places - np.array(place)).sum(axis=1) <= 1).any())

    found = sum(near(estimate, place) for place in np.argwhere(truth))
    found += sum(near(truth, place) for place in np.argwhere(estimate))
    assert tolerant_dice(truth, estimate) == pytest.approx(found / (truth.sum() + estimate.sum()))


def test_empty_segmentations_agree() -> None:
    assert tolerant_dice(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))) == 1.0
    assert tolerant_dice(np.ones((2, 2, 2)), np.zeros((2, 2, 2))) == 0.0


def test_the_band_limit_is_a_projection_that_keeps_what_slices_can_carry() -> None:
    matrix = band_limit_matrix(48, 3.0)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    line = np.arange(48) + 0.5
    slow, fast = np.cos(np.pi * 5 * line / 48), np.cos(np.pi * 30 * line / 48)
    np.testing.assert_allclose(matrix @ (slow + fast), slow, atol=1e-9)
    assert np.linalg.matrix_rank(matrix) == 16
    np.testing.assert_allclose(band_limit_matrix(20, 1.0), np.eye(20), atol=1e-12)
