"""Rigid registration of thick slices, and the refusal of what does not fit together."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from support.stacked_children import Taken, child, rigid, stack

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.stacks.agreement import check_agreement
from SegSRGANLib.stacks.registration import Registration, refine, register
from SegSRGANLib.stacks.rigid import euler_of, matrix_of, moved_points, points_inside
from SegSRGANLib.stacks.scan import Scan

_BRAIN = child(1)
_FAR = rigid((8, -9, 9), (6, -5, 5))  # 15 degrees and 9 mm


def _scan(taken: Taken, name: str = "stack 2", brain: tuple[sitk.Image, sitk.Image] = _BRAIN) -> Scan:
    return Scan.of(*stack(brain, taken), name)


def _error(matrix: np.ndarray, motion: sitk.Euler3DTransform) -> float:
    """The mean distance, mm, in the brain."""
    points = points_inside(_BRAIN[1])
    return float(np.linalg.norm(moved_points(matrix, points) - moved_points(matrix_of(motion), points), axis=1).mean())


@pytest.mark.parametrize("change", ["none", "noise", "contrast", "half"])
def test_ten_millimetres_and_fifteen_degrees_are_found(change: str) -> None:
    reference = _scan(Taken(1), "stack 1")
    taken = Taken(2, _FAR, noise=6.0 if change == "noise" else 0.0)
    image, mask = stack(_BRAIN, taken)
    if change == "contrast":
        image = 3000 * sitk.Pow(sitk.Clamp(image, sitk.sitkFloat32, 0, 300) / 200, 0.6)
    if change == "half":  # partial coverage
        image, mask = image[:, :, :9], mask[:, :, :9]
    result = register(reference, Scan.of(image, mask, "stack 2"))
    assert _error(result.matrix, _FAR) < 0.4
    assert result.degrees == pytest.approx(15.0, abs=1.2)
    assert 8 < result.mm < 12
    assert result.overlap > 0.9
    assert result.similarity > 0.9
    assert check_agreement(reference, Scan.of(image, mask, "stack 2"), result, None) > 0.9


def test_refining_ends_nearer_to_the_true_place() -> None:
    reference, taken = _scan(Taken(1), "stack 1"), _scan(Taken(2, _FAR))
    found = register(reference, taken)
    better = refine(reference, taken, found)
    assert _error(better.matrix, _FAR) < _error(found.matrix, _FAR)
    assert better.similarity > found.similarity


def test_a_matrix_is_a_rigid_transform_about_any_centre() -> None:
    matrix = matrix_of(_FAR)
    np.testing.assert_allclose(matrix_of(euler_of(matrix, np.array([3.0, -40.0, 17.0]))), matrix, atol=1e-9)


def test_stacks_without_overlap_are_refused() -> None:
    reference, other = _scan(Taken(1), "stack 1"), _scan(Taken(2))
    image = sitk.Image(other.image)
    image.SetOrigin([150.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"stack 2 does not overlap with stack 1: their brains lie \d+ mm apart"):
        register(reference, Scan.of(image, None, "stack 2"))


def _refused(scan: Scan) -> str:
    reference = _scan(Taken(1), "stack 1")
    with pytest.raises(ValueError) as caught:
        check_agreement(reference, scan, register(reference, scan), None)
    return str(caught.value)


def test_another_child_is_refused() -> None:
    text = _refused(_scan(Taken(2, _FAR), brain=child(2)))
    assert text.startswith("stack 2 does not fit stack 1 (correlation of detail ")
    assert "same child" in text


def test_another_contrast_is_refused() -> None:
    image, mask = _BRAIN
    inverted = sitk.Mask(200 - image, mask)
    assert "stack 2 is dark where stack 1 is bright" in _refused(_scan(Taken(2), brain=(inverted, mask)))


@pytest.mark.parametrize("axis", [0, 2])
def test_a_mirrored_stack_is_refused(axis: int) -> None:
    scan = _scan(Taken(2, rigid((3, -4, 2), (1, 2, -2))))
    flipped = [Grid.of(i).image(np.flip(sitk.GetArrayFromImage(i), 2 - axis).copy()) for i in (scan.image, scan.mask)]
    text = _refused(Scan.of(*flipped, "stack 2"))
    assert f"stack 2 is mirrored along its {('first', 'second', 'third')[axis]} axis" in text


def test_hardly_any_common_brain_is_refused() -> None:
    image, mask = stack(_BRAIN, Taken(2))
    low, high = Scan.of(image[:, :, :8], mask[:, :, :8], "stack 1"), Scan.of(image[:, :, 8:], mask[:, :, 8:], "stack 2")
    with pytest.raises(ValueError, match="stack 2 does not overlap with stack 1"):
        register(low, high)
    found = Registration(np.eye(4), mm=0.0, degrees=0.0, overlap=0.14, similarity=0.9)
    with pytest.raises(ValueError, match="stack 2 holds only 14% of the brain in stack 1: too little"):
        check_agreement(low, high, found, None)


@pytest.mark.parametrize(("slices", "words"), [(1, "only one slice"), (2, "only 2 slices")])
def test_a_stack_of_hardly_any_slices_is_refused(slices: int, words: str) -> None:
    image, mask = stack(_BRAIN, Taken(2))
    with pytest.raises(ValueError, match=f"stack 2 has {words}: leave it out"):
        Scan.of(image[:, :, 8 : 8 + slices], mask[:, :, 8 : 8 + slices], "stack 2")


def test_a_mask_of_another_place_is_refused() -> None:
    image, mask = stack(_BRAIN, Taken(2))
    mask.SetOrigin([500.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="The mask of stack 2 has no voxel inside it"):
        Scan.of(image, mask, "stack 2")
