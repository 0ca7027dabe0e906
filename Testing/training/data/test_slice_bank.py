"""Batches of slices beside the functions that prediction uses."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.training.data.slice_bank import along, make_bank, observation_pair
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.data_consistency import enforce_data_consistency
from SegSRGANLib.transforms.line_operators import damping
from SegSRGANLib.transforms.resample import upsample
from SegSRGANLib.transforms.separable import apply_along

SIDE, FACTOR = 24, 3.0


@pytest.mark.parametrize("consistent", [False, True])
def test_a_line_is_observed_as_prediction_observes_a_volume(consistent: bool) -> None:
    array = np.random.default_rng(1).uniform(0.2, 1, (SIDE, 4, 5)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    low = acquire(image, (1.0, 1.0, FACTOR))
    expected = upsample(low, Grid.of(image))
    if consistent:
        expected = enforce_data_consistency(low, expected)
    down, up = observation_pair(SIDE, FACTOR, 1.0, damping(0.0) if consistent else None)
    own = np.einsum("ij,jyx->iyx", up @ down, array.astype(float))
    # prediction measures the noise of this noisy volume, and damps by it: compare where it does not
    tolerance = 1e-5 if not consistent else 0.2
    np.testing.assert_allclose(own, sitk.GetArrayFromImage(expected), atol=tolerance)


def test_agreement_reproduces_the_slices() -> None:
    down, up = observation_pair(SIDE, FACTOR, 1.0, 1e-9)
    slices = np.random.default_rng(2).uniform(0, 1, len(down))
    np.testing.assert_allclose(down @ (up @ slices), slices, atol=1e-6)


def test_each_patch_has_its_own_matrix_along_each_axis() -> None:
    bank = make_bank(SIDE, [(1.0, 1.0, 0.0), (2.0, 1.0, 0.01), (3.5, 0.9, 0.02)], True, torch.device("cpu"))
    volumes = torch.rand(3, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for axis in range(3):
        together = along(volumes, bank.down, axis)
        for own, volume, matrix in zip(together, volumes, bank.down, strict=True):
            torch.testing.assert_close(own, apply_along(volume, matrix, axis))
    torch.testing.assert_close(along(volumes[:1], bank.up[:1], 0), volumes[:1])
    assert bank.factor.tolist() == pytest.approx([1.0, 2.0, 3.5]) and bool(
        (bank.down[2, round(SIDE / 3.5) :] == 0).all()
    )
