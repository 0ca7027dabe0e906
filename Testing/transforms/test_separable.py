"""Matrices along one axis: no denormal number, which processors compute slowly, and the same sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegSRGANLib.transforms.line_operators import coefficient_matrix, sampling_matrix
from SegSRGANLib.transforms.separable import apply_along, as_tensor


@pytest.mark.parametrize("matrix", [coefficient_matrix(160, 3), sampling_matrix(160, 160, 1.0, 4.0)])
def test_no_entry_is_denormal_and_no_sum_changes(matrix: np.ndarray) -> None:
    volume = torch.rand(160, 2, 2)
    exact = torch.from_numpy(matrix).float()
    assert bool(((exact != 0) & (exact.abs() < torch.finfo(torch.float32).tiny)).any())  # that is what is avoided
    entries = as_tensor(matrix, volume)
    assert not ((entries != 0) & (entries.abs() < torch.finfo(torch.float32).tiny)).any()
    torch.testing.assert_close(apply_along(volume, entries, 0), apply_along(volume, exact, 0), rtol=0, atol=1e-7)


def test_a_small_matrix_keeps_its_entries() -> None:
    matrix = 1e-30 * np.array([[1.0, 2.0], [0.0, -3.0]])
    np.testing.assert_array_equal(as_tensor(matrix, torch.zeros(1, dtype=torch.float64)).numpy(), matrix)
