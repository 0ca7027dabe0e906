"""Signs of motion between slices: planted ones are found and named, and a scan without any is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from SegSRGANLib.quality.slice_displacement import displacements
from SegSRGANLib.quality.slice_motion import slice_motion
from SegSRGANLib.quality.slice_order import best_exchange

SPACING = (3.0, 1.0, 1.0)  # mm


def _stack(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A ball of smooth texture that changes from slice to slice, with noise, and where it is."""
    z, y, x = np.mgrid[-12:12, -36:36, -36:36].astype(np.float64)
    inside = (z / 11) ** 2 + (y / 33) ** 2 + (x / 33) ** 2 < 1
    texture = np.sin(x / 4 + z / 4) * np.cos(y / 5 - z / 6) + 0.5 * np.sin(z / 5 + y / 7) + 2.5
    noise = np.random.default_rng(seed).normal(0, 0.05, texture.shape)
    return np.where(inside, texture + noise, 0).astype(np.float32), inside


def _signs(values: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    found = slice_motion(values, inside, 0, SPACING)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_still_scan_shows_no_motion(seed: int) -> None:
    found = _signs(*_stack(seed))
    assert found["slices"] == [] and found["share"] == 0
    assert found["displaced"] is None and found["uneven"] is None and found["exchange"] is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_displaced_slice_is_named_along_any_axis(axis: int) -> None:
    values, inside = _stack()
    values[13] = np.roll(values[13], 5, axis=1)
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0
    found = slice_motion(np.moveaxis(values, 0, axis), np.moveaxis(inside, 0, axis), axis, spacing)
    assert found is not None and found["displaced"] in (13, 14) and set(found["slices"]) <= {12, 13, 14}
    assert 3 < found["displacement_mm"] < 7


def test_a_displacement_is_measured_in_millimetres() -> None:
    values, inside = _stack()
    values[:], inside[:] = values[10], inside[10]  # no anatomy that changes: the displacement explains everything
    values[12:] = np.roll(values[12:], 3, axis=2)  # the child moved once and stayed there
    fine, explained = displacements(values, inside, (1.0, 1.0))
    assert int(np.argmax(fine)) == int(np.argmax(explained)) == 11
    assert fine[11] == pytest.approx(3, abs=0.3) and explained[11] > 0.9
    wide, _ = displacements(values, inside, (1.0, 1.5))
    assert wide[11] == pytest.approx(4.5, abs=0.5)


def test_a_turned_slice_is_displaced() -> None:
    sitk = pytest.importorskip("SimpleITK")
    values, inside = _stack()
    turn = sitk.Euler2DTransform((36.0, 36.0), np.radians(9.0))
    values[13] = sitk.GetArrayFromImage(sitk.Resample(sitk.GetImageFromArray(values[13]), turn))
    assert _signs(values, inside)["displaced"] in (13, 14)


@pytest.mark.parametrize(("one", "other"), [(10, 11), (9, 13)])
def test_exchanged_slices_are_named(one: int, other: int) -> None:
    values, inside = _stack()
    assert best_exchange(values, inside)[0] < 0
    values[[one, other]] = values[[other, one]]
    assert _signs(values, inside)["exchange"] == [one, other]


def test_the_gain_of_an_exchange_is_that_of_the_roughness() -> None:
    values, inside = _stack()
    values[[10, 11]] = values[[11, 10]]

    def roughness(stack: np.ndarray) -> float:
        return float(sum(((stack[k] - (stack[k - 1] + stack[k + 1]) / 2) ** 2).sum() for k in (9, 10, 11, 12)))

    wrong = (values * inside).astype(np.float64)
    right = wrong.copy()
    right[[10, 11]] = right[[11, 10]]
    gain, one, other = best_exchange(values, inside)
    assert (one, other) == (10, 11)
    assert gain == pytest.approx(0.5 * np.log(roughness(wrong) / roughness(right)), rel=1e-6)


def test_a_dark_slice_is_named() -> None:
    values, inside = _stack()
    values[9] *= 0.6
    found = _signs(values, inside)
    assert found["uneven"] == 9 and found["brightness"] == pytest.approx(np.log(0.6), abs=0.1)


def test_a_few_slices_tell_nothing() -> None:
    values, inside = _stack()
    assert slice_motion(values[:6], inside[:6], 0, SPACING) is None
    assert slice_motion(values, np.zeros_like(inside), 0, SPACING) is None
