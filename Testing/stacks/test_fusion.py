"""One volume out of several stacks: joint data consistency, intensities and slices that moved."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.stacked_children import Taken, child, rigid, stack

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.stacks.alignment import align
from SegSRGANLib.stacks.fusion import Term, fuse, ridge_of
from SegSRGANLib.stacks.intensity import IntensityMatch
from SegSRGANLib.stacks.operator import StackOperator
from SegSRGANLib.stacks.rigid import matrix_of
from SegSRGANLib.stacks.scan import Scan
from SegSRGANLib.stacks.slice_weights import slice_weights
from SegSRGANLib.transforms.data_consistency import DataConsistency, ForwardModel, noise_level
from SegSRGANLib.transforms.line_operators import damping
from SegSRGANLib.transforms.resample import upsample
from SegSRGANLib.utils.errors import Cancelled

_BRAIN = child(3)
_GRID = Grid.of(_BRAIN[0])
_TRUTH = sitk.GetArrayFromImage(_BRAIN[0])
_INSIDE = sitk.GetArrayFromImage(_BRAIN[1]) > 0
_MOTIONS = (rigid(), rigid((5, -3, 4), (2, 1, -3)), rigid((-4, 6, 2), (-1, 3, 2)))


def _term(axis: int, motion: sitk.Euler3DTransform, noise: float = 0.0) -> Term:
    image, _ = stack(_BRAIN, Taken(axis, motion, noise=noise))
    measured = torch.from_numpy(sitk.GetArrayFromImage(image))
    operator = StackOperator(Grid.of(image), _GRID, matrix_of(motion))
    return Term.of(operator, measured, torch.ones_like(measured), _start())


def _error(volume: torch.Tensor | np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(volume) - _TRUTH)[_INSIDE] ** 2)))


def _start() -> torch.Tensor:
    return torch.from_numpy(sitk.GetArrayFromImage(upsample(stack(_BRAIN, Taken(1))[0], _GRID)))


@pytest.mark.slow
def test_each_stack_more_brings_the_volume_nearer_to_the_truth() -> None:
    start, everywhere = _start(), torch.ones(_GRID.shape, dtype=torch.bool)
    terms = [_term(axis, motion) for axis, motion in zip((1, 0, 2), _MOTIONS, strict=True)]
    errors = [_error(fuse(start, terms[:count], everywhere)) for count in (1, 2, 3)]
    assert errors[1] < 0.75 * errors[0]
    assert errors[2] < 0.8 * errors[1]


def test_one_stack_is_the_closed_form_of_a_single_scan() -> None:
    image, _ = stack(_BRAIN, Taken(1))
    start, term = _start(), _term(1, rigid())
    # of a factor of three: a constant volume is seen in every third voxel
    term = Term(term.operator, term.measured, term.weights, damping(noise_level(image)) ** 2 / 3)
    closed = DataConsistency(image, ForwardModel(Grid.of(image), _GRID)).enforce(start.numpy())
    iterated = fuse(start, [term], torch.ones(_GRID.shape, dtype=torch.bool)).numpy()
    change, difference = closed - start.numpy(), iterated - closed
    assert np.linalg.norm(difference) < 0.1 * np.linalg.norm(change)  # a few steps, not all


def test_outside_nothing_changes_and_a_perfect_volume_stays() -> None:
    start, terms = _start(), [_term(0, _MOTIONS[1])]
    fused = fuse(start, terms, torch.from_numpy(_INSIDE)).numpy()
    np.testing.assert_array_equal(fused[~_INSIDE], start.numpy()[~_INSIDE])
    exact = Term(terms[0].operator, terms[0].operator.apply(start), terms[0].weights, 0.1)
    np.testing.assert_allclose(fuse(start, [exact], torch.from_numpy(_INSIDE)).numpy(), start.numpy(), atol=1e-3)


def test_fusing_can_be_cancelled_and_says_how_far_it_is() -> None:
    told: list[float] = []
    term, everywhere = _term(0, _MOTIONS[1]), torch.from_numpy(_INSIDE)
    fuse(_start(), [term], everywhere, lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert len(told) > 1
    with pytest.raises(Cancelled):
        fuse(_start(), [term], everywhere, should_stop=lambda: len(told) > 0)


def test_scale_contrast_and_shading_are_taken_back() -> None:
    motion = _MOTIONS[1]
    (first, mask), (other, other_mask) = (stack(_BRAIN, Taken(*pair)) for pair in ((1, rigid()), (2, motion)))
    ramp = np.linspace(0.8, 1.25, other.GetSize()[0], dtype=np.float32)
    shaded = Grid.of(other).image(400 * (np.clip(sitk.GetArrayFromImage(other), 0, None) / 200) ** 0.8 * ramp)
    reference = Scan.of(first, mask, "stack 1")
    match = IntensityMatch.between(reference, Scan.of(shaded, other_mask, "stack 2"), matrix_of(motion))
    matched = sitk.GetArrayFromImage(match.applied(shaded, matrix_of(motion)))
    inside = sitk.GetArrayFromImage(other_mask) > 0
    wanted, before = sitk.GetArrayFromImage(other)[inside], sitk.GetArrayFromImage(shaded)[inside]
    plain = before * (before @ wanted) / (before @ before)
    assert np.std(matched[inside] - wanted) < 0.8 * np.std(plain - wanted)
    assert matched[inside].mean() == pytest.approx(wanted.mean(), rel=0.05)


@pytest.mark.slow
def test_slices_that_moved_lose_their_weight_and_no_others() -> None:
    images = [stack(_BRAIN, Taken(axis, motion)) for axis, motion in zip((1, 0, 2), _MOTIONS, strict=True)]
    late, _ = stack(_BRAIN, Taken(2, rigid((-14, 14, 2), (-6, 7, 2))))
    array, moved = sitk.GetArrayFromImage(images[2][0]), [11]
    array[moved] = sitk.GetArrayFromImage(late)[moved]
    images[2] = Grid.of(late).image(array), images[2][1]
    scans = [Scan.of(*pair, f"stack {number}") for number, pair in enumerate(images, start=1)]
    aligned = align(scans)
    assert [stack.left_out for stack in aligned] == [[], [], moved]
    assert aligned[2].figures()["slices_left_out"] == moved


def test_noise_is_damped_and_anatomy_that_is_missing_is_not() -> None:
    rng, inside = np.random.default_rng(0), np.ones((12, 30, 30), bool)
    noise = rng.standard_normal(inside.shape)
    smooth = 3 * np.sin(np.arange(30) / 4)[:, None] * np.sin(np.arange(30) / 5)
    clean, mixed, nothing = (ridge_of(part, inside, 0) for part in (smooth + 0.01 * noise, smooth + noise, noise))
    assert clean < mixed < nothing
    # a share of the noise's variance over that of the rest
    assert mixed == pytest.approx(0.6 / float(np.mean(smooth**2)), rel=0.2)
    assert ridge_of(noise, ~inside, 0) == clean


def test_too_few_slices_are_not_judged() -> None:
    grid = Grid((8, 8, 3), (1.0, 1.0, 4.0), (0.0, 0.0, 0.0), _GRID.direction)
    difference = np.random.default_rng(0).standard_normal(grid.shape)
    assert slice_weights(difference, np.ones(grid.shape, bool), grid, 3.0).tolist() == [1.0, 1.0, 1.0]
