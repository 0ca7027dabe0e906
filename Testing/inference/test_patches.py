"""Patches cover the volume, and recomposing them loses nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from SegSRGANLib.inference.patches import PatchMerger, blending_window, sliding_windows
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.utils.errors import Cancelled


class Identity(torch.nn.Module):
    """Returns its input as intensity, and the input's square as second channel."""

    multiple, minimum = 4, 8

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        assert all(side % self.multiple == 0 and side >= self.minimum for side in x.shape[2:])
        return torch.cat([x, x.square()], dim=1)


class Position(Identity):
    """Depends on where a voxel lies in its patch and on the whole patch, as instance normalization does."""

    def forward(self, x):
        ramp = torch.linspace(0, 1, x.shape[-1])
        return torch.cat([x + ramp, x - x.mean(dim=(2, 3, 4), keepdim=True)], dim=1)


sizes = st.tuples(*[st.integers(1, 40)] * 3)
patches = st.integers(2, 8).map(lambda n: 4 * n)
overlaps = st.floats(0, 0.75)


@settings(max_examples=60, deadline=None)
@given(sizes, patches, overlaps, st.integers(1, 5))
def test_identity_network_returns_the_volume(shape, patch, overlap, batch):
    volume = torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    result = predict_volume(Identity(), volume, PredictionOptions(patch, overlap, batch, "cpu"))
    assert result.shape == (2, *shape)
    # float32: the weighted sum of up to some hundred patches
    assert torch.allclose(result[0], volume, atol=3e-6, rtol=0)
    assert torch.allclose(result[1], volume.square(), atol=3e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(8, 24)] * 3), st.integers(1, 16), overlaps)
def test_grid_covers_the_volume_with_the_overlap(shape, side, overlap):
    patch = tuple(min(side, n) for n in shape)
    grid = sliding_windows(shape, patch, overlap)
    count = np.zeros(shape, int)
    for place in grid:
        assert all(p.stop - p.start == n for p, n in zip(place, patch, strict=True))
        count[place] += 1
    assert count.min() >= 1
    assert len(list(grid)) == len(grid)
    for starts, n in zip(grid.starts, patch, strict=True):
        steps = np.diff(starts)
        assert np.all(steps >= 1) and np.all(steps <= max(1, round(n * (1 - overlap)) + 1))


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_the_batch_changes_nothing(batch):
    volume = torch.rand(20, 23, 31, generator=torch.Generator().manual_seed(0))
    alone, together = (predict_volume(Position(), volume, PredictionOptions(16, 0.5, b, "cpu")) for b in (1, batch))
    assert torch.equal(alone, together)


def test_recomposition_is_the_weighted_mean():
    grid = sliding_windows((4, 4, 6), (4, 4, 4), 0.5)
    merger, window = PatchMerger(1, grid), blending_window(4)
    for value, place in enumerate(grid):
        merger.add(torch.full((1, 4, 4, 4), float(value)), place)
    line = merger.result()[0, 1, 2]
    assert torch.allclose(line[:2], torch.zeros(2)) and torch.allclose(line[4:], torch.ones(2))
    assert line[2] == pytest.approx(float(window[0] / (window[0] + window[2])), rel=1e-5)


def test_window_is_symmetric_and_positive():
    window = blending_window(7)
    assert window.min() > 0
    assert window.argmax() == 3
    assert torch.allclose(window, window.flip(0))


@pytest.mark.parametrize(
    "patch, overlap, message", [((9, 4, 4), 0.5, "does not fit"), ((4, 4, 4), 1.0, "overlap"), ((0, 4, 4), 0, "fit")]
)
def test_impossible_grids(patch, overlap, message):
    with pytest.raises(ValueError, match=message):
        sliding_windows((8, 8, 8), patch, overlap)


@pytest.mark.parametrize(
    "options, message", [({"patch": 62}, "multiples of 4"), ({"patch": 4}, "at least 8"), ({"batch": 0}, "batch")]
)
def test_impossible_patches(options, message):
    with pytest.raises(ValueError, match=message):
        predict_volume(Identity(), torch.rand(16, 16, 16), PredictionOptions(device="cpu", **options))


def test_progress_rises_to_one_and_cancel_stops_before_the_next_batch():
    volume, seen = torch.rand(32, 32, 32), []
    options = PredictionOptions(16, 0.5, 1, "cpu")
    predict_volume(Identity(), volume, options, lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) == 27
    calls = []
    with pytest.raises(Cancelled):
        predict_volume(Identity(), volume, options, lambda f, m: calls.append(f), lambda: len(calls) >= 2)
    assert len(calls) == 2
