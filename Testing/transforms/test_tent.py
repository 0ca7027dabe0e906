"""Resampling by a tent: means are kept, near faces are in common, thick slices are interpolated linearly."""

from __future__ import annotations

import numpy as np
import pytest

from SegSRGANLib.transforms.separable import tent_matrix


@pytest.mark.parametrize(("spacing", "wanted"), [(0.8, 2.0), (2.0, 0.8), (5.0, 2.0), (2.0, 2.0)])
def test_rows_sum_to_one_and_a_ramp_keeps_its_place(spacing: float, wanted: float) -> None:
    inputs = round(100 / spacing)
    outputs = round(inputs * spacing / wanted)
    matrix = tent_matrix(inputs, outputs, spacing, wanted, max(spacing, wanted))
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    ramp = (np.arange(inputs) + 0.5) * spacing
    inner = slice(4, -4)
    np.testing.assert_allclose((matrix @ ramp)[inner], ((np.arange(outputs) + 0.5) * wanted)[inner], atol=0.35)


def test_finer_outputs_are_linear_interpolation() -> None:
    samples = np.array([0.0, 10.0, 4.0, 4.0])
    at = np.clip((np.arange(12) + 0.5) / 3 - 0.5, 0, 3)
    np.testing.assert_allclose(tent_matrix(4, 12, 3.0, 1.0, 3.0) @ samples, np.interp(at, np.arange(4), samples))


def test_same_spacing_is_the_identity() -> None:
    np.testing.assert_allclose(tent_matrix(7, 7, 2.0, 2.0, 2.0), np.eye(7))
