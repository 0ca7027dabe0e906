"""Stacks brought together: slices that moved neither count nor pull at the place of the others."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from support.stacked_children import SIDE, Taken, child, rigid, stack

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.stacks.alignment import align
from SegSRGANLib.stacks.registration import refine, register
from SegSRGANLib.stacks.rigid import matrix_of, moved_points, points_inside
from SegSRGANLib.stacks.scan import Scan

_BRAIN = child(3)
_MOTION = rigid((5, -4, 6), (3, -4, 2))
_LATE = rigid((-4, 9, 3), (5, 2, -4))
_MOVED = [SIDE // 6 - 2, SIDE // 6 + 2]  # slices


def _error(matrix: np.ndarray) -> float:
    """The mean distance from the true place, mm, in the brain."""
    points = points_inside(_BRAIN[1])
    right = moved_points(matrix_of(_MOTION), points)
    return float(np.linalg.norm(moved_points(matrix, points) - right, axis=1).mean())


@pytest.mark.slow
def test_slices_that_moved_do_not_pull_at_the_registration() -> None:
    first, mask = stack(_BRAIN, Taken(2))
    slices = sitk.GetArrayFromImage(first)
    slices[_MOVED] = sitk.GetArrayFromImage(stack(_BRAIN, Taken(2, _LATE))[0])[_MOVED]
    reference = Scan.of(Grid.of(first).image(slices), mask, "stack 1")
    other = Scan.of(*stack(_BRAIN, Taken(1, _MOTION)), "stack 2")
    pulled = refine(reference, other, register(reference, other))
    stacks = align([reference, other])
    assert [aligned.left_out for aligned in stacks] == [_MOVED, []]
    assert _error(stacks[1].matrix) < 0.5 * _error(pulled.matrix)
    assert stacks[1].registration is not None
    np.testing.assert_array_equal(stacks[1].matrix, stacks[1].registration.matrix)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(stacks[0].scan.image), slices)
