"""Brain masks with a stand-in network for which bright is brain."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.bright_brain import WIDER, BrightIsBrain, ball, scan_grid

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.brain import prediction as brain_prediction
from SegSRGANLib.inference.brain.checks import BrainChecks
from SegSRGANLib.inference.brain.extraction import BrainExtraction, extract_brain
from SegSRGANLib.inference.brain.prediction import predict_brain
from SegSRGANLib.networks.brain_extractor import BrainExtractor, BrainExtractorConfig
from SegSRGANLib.utils.errors import Cancelled


def _extract(array: np.ndarray, grid: Grid) -> BrainExtraction:
    return extract_brain(grid.image(array.astype(np.float32)), "cpu", network=BrightIsBrain())


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.5, 4.0), (6.0, 0.8, 1.0), (2.0, 2.0, 2.0)])
def test_mask_lies_on_the_scans_grid_and_on_its_brain(spacing: tuple[float, float, float]) -> None:
    grid = scan_grid(spacing)
    true = ball(grid, 40)
    found = _extract(np.where(true, 1000, 100 + np.arange(grid.size[0]) % 2), grid)
    assert Grid.of(found.mask).matches(grid)
    assert _dice(sitk.GetArrayFromImage(found.mask) > 0, ball(grid, 40 + WIDER)) > 0.97
    assert found.checks.volume_ml == pytest.approx(4 / 3 * np.pi * (4 + WIDER / 10) ** 3, rel=0.03)
    assert found.checks.warnings() == []


def test_largest_piece_without_holes() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    whole = ball(grid, 35)
    scan = np.where(whole & ~ball(grid, 9), 1000.0, 50.0)
    scan[ball(grid, 10, (115, 115, 115))] = 1000
    scan += np.arange(grid.size[0]) % 2
    found = _extract(scan, grid)
    assert _dice(sitk.GetArrayFromImage(found.mask) > 0, ball(grid, 35 + WIDER)) > 0.97
    assert found.checks.pieces == 2
    assert found.checks.other_ml == pytest.approx(4.2, abs=0.6)


def test_cut_brain_is_told() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    checks = _extract(np.where(ball(grid, 40, (64, 64, 4)), 1000.0, 50.0) + np.arange(64) % 2, grid).checks
    assert checks.cut > 0.2
    assert any("cuts the brain" in text for text in checks.warnings())


def test_stripped_brain_is_recognized() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    brain = ball(grid, 40)
    scan = np.where(brain, 1000.0, 0.0)
    scan[:, :, :5] = 0
    scan[ball(grid, 8)] = 0  # as dark as the background, but inside
    found = _extract(scan, grid)
    assert found.checks.stripped
    assert _dice(sitk.GetArrayFromImage(found.mask) > 0, brain) > 0.97


def test_no_brain_is_an_error() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    with pytest.raises(ValueError, match="No brain was found"):
        _extract(np.zeros(grid.shape), grid)


def test_tiles_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    volume, network, device = torch.rand(30, 70, 90), BrightIsBrain(), torch.device("cpu")
    whole = predict_brain(network, device, volume)
    monkeypatch.setattr(brain_prediction, "_TILE", 48)
    monkeypatch.setattr(brain_prediction, "_OVERLAP", 16)
    np.testing.assert_allclose(predict_brain(network, device, volume), whole, atol=1e-6)
    assert whole.shape == (30, 70, 90)


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_a_turned_scan_has_the_turned_brain(axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, volume = BrainExtractor(BrainExtractorConfig((4, 8))).eval(), torch.rand(16, 20, 24)
    found = predict_brain(network, torch.device("cpu"), volume)
    turned = predict_brain(network, torch.device("cpu"), torch.flip(volume, axes))
    np.testing.assert_allclose(np.flip(turned, axes), found, atol=1e-5)
    assert found.std() > 1e-4


def test_cancel() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    with pytest.raises(Cancelled):
        extract_brain(grid.image(np.ones(grid.shape)), "cpu", network=BrightIsBrain(), should_stop=lambda: True)


def test_warnings_name_what_is_wrong() -> None:
    told = BrainChecks(12, 3, 5, 0.1, 0.7, stripped=False).warnings()
    assert [text for text in told if "12 mL" in text]
    assert len(told) == 4


class Unsure(BrightIsBrain):
    """As `BrightIsBrain`, and less sure of everything: (N, 1, D, H, W) -> the same shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 0.05


def test_the_border_of_an_unsure_mask_is_not_drawn_far_outside() -> None:
    grid = scan_grid((2.0, 2.0, 2.0))
    scan = grid.image(np.where(ball(grid, 40), 1000.0, 100.0))
    sure, unsure = (extract_brain(scan, "cpu", network=network) for network in (BrightIsBrain(), Unsure()))
    assert unsure.checks.confidence < 0.9 <= sure.checks.confidence
    assert unsure.checks.volume_ml <= sure.checks.volume_ml
