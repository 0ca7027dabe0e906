"""The observation model of a moved stack: exact transpose, and the models that it must agree with."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.stacked_children import rigid

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.stacks.operator import StackOperator
from SegSRGANLib.stacks.rigid import matrix_of
from SegSRGANLib.transforms.acquisition import acquire

_VOLUME = Grid((21, 24, 18), (1.0, 1.0, 1.0), (3.0, -5.0, 7.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def _random(grid: Grid, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(grid.shape))


@pytest.mark.parametrize("spacing", [(1, 1, 3.0), (3.0, 1, 1), (0.8, 2.0, 1.0)])
def test_the_adjoint_is_the_transpose(spacing: tuple[float, float, float]) -> None:
    stack = output_grid(_VOLUME, spacing)
    operator = StackOperator(stack, _VOLUME, matrix_of(rigid((10, -15, 8), (2, -1, 3))))
    x, y = _random(_VOLUME), _random(stack, 1)
    forward, backward = float((operator.apply(x) * y).sum()), float((x * operator.adjoint(y)).sum())
    assert forward == pytest.approx(backward, rel=1e-10)
    assert forward != 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_without_motion_it_is_the_acquisition_of_a_single_scan(axis: int) -> None:
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0
    stack, x = output_grid(_VOLUME, spacing), _random(_VOLUME).float()
    simulated = StackOperator(stack, _VOLUME, np.eye(4)).apply(x).numpy()
    expected = sitk.GetArrayFromImage(acquire(_VOLUME.image(x.numpy()), spacing))
    np.testing.assert_allclose(simulated, expected, atol=2e-5)


def test_motion_is_a_spline_interpolation() -> None:
    motion = rigid((6, -4, 9), (0.7, -1.2, 0.4))
    x = _random(_VOLUME)
    moved = StackOperator(_VOLUME, _VOLUME, matrix_of(motion)).apply(x).numpy()
    expected = sitk.Resample(_VOLUME.image(x.numpy()), _VOLUME.image(x.numpy()), motion.GetInverse(), sitk.sitkBSpline)
    points = sitk.GetArrayFromImage(
        sitk.Resample(_VOLUME.image(np.ones(_VOLUME.shape)), expected, motion.GetInverse(), sitk.sitkNearestNeighbor)
    )
    within = points > 0
    assert within.mean() > 0.3
    np.testing.assert_allclose(moved[within], sitk.GetArrayFromImage(expected)[within], atol=1e-9)


def test_voxels_that_do_not_count_cost_nothing_and_change_nothing() -> None:
    stack, motion = output_grid(_VOLUME, (1.0, 1.0, 3.0)), matrix_of(rigid((4, 3, -5), (1, 0, 1)))
    wanted = np.zeros(stack.shape, bool)
    wanted[2:4, 5:15, 6:14] = True
    whole, part = StackOperator(stack, _VOLUME, motion), StackOperator(stack, _VOLUME, motion, wanted)
    x, y = _random(_VOLUME), _random(stack, 1) * torch.from_numpy(wanted)
    np.testing.assert_allclose(part.apply(x)[wanted], whole.apply(x)[wanted], atol=0.01)
    assert float((part.apply(x) * y).sum()) == pytest.approx(float((x * part.adjoint(y)).sum()), rel=1e-10)


def test_a_stack_that_sees_nothing_of_the_volume_is_zero() -> None:
    far = np.eye(4)
    far[0, 3] = 500.0
    operator = StackOperator(_VOLUME, _VOLUME, far)
    assert not operator.apply(_random(_VOLUME)).any()
    assert not operator.adjoint(_random(_VOLUME)).any()
