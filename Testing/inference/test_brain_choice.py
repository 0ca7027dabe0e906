"""Where the brain of a run is: given, found or nowhere in particular, and what a result says of it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from support.bright_brain import ball, head, scan_grid, use_bright_brain

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.brain.choice import BrainChoice, choose_brain
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.inference.run_context import RunContext
from SegSRGANLib.quality.verdict import give_verdict
from SegSRGANLib.utils.errors import CheckpointError

_GRID = scan_grid((2.0, 2.0, 4.0))
_OPTIONS = EnhanceOptions(prediction=PredictionOptions(device="cpu"))


def _choose(scan: np.ndarray, mask: sitk.Image | str | None) -> BrainChoice:
    return choose_brain(_GRID.image(scan), mask, _OPTIONS, RunContext(lambda fraction, message: None))


def _mask(radius: float, centre: tuple[float, float, float] = (64, 64, 64)) -> sitk.Image:
    return _GRID.image(ball(_GRID, radius, centre).astype(np.uint8))


@pytest.fixture(autouse=True)
def _bright(monkeypatch: pytest.MonkeyPatch) -> None:
    use_bright_brain(monkeypatch)


@pytest.mark.parametrize("word", ["none", None])
def test_none_is_the_whole_volume(word: str | None) -> None:
    choice = _choose(head(_GRID), word)
    assert choice.mask is choice.found is None and choice.warnings == []
    assert choice.record["source"] == "none"
    assert choice.record["checks"]["confidence"] > 0.9 and choice.record["checks"]["stripped"] is False


def test_none_is_the_whole_volume_where_no_brain_is_found() -> None:
    choice = _choose(np.zeros(_GRID.shape, np.float32), "none")
    assert choice == BrainChoice(None, None, {"source": "none", "volume_ml": None, "checks": {}})


def test_auto_finds_the_brain_of_a_head() -> None:
    choice = _choose(head(_GRID), "auto")
    assert choice.mask is choice.found is not None
    assert Grid.of(choice.mask).matches(_GRID)
    assert choice.record["source"] == "found"
    assert choice.record["volume_ml"] == pytest.approx(124, rel=0.05)  # 4/3 pi 30.9^3
    assert choice.record["checks"]["pieces"] == 1


def test_stripped_brain_goes_to_the_network_as_it_is() -> None:
    choice = _choose(np.where(ball(_GRID, 30), 1000.0, 0.0).astype(np.float32), "auto")
    assert choice.mask is None
    assert choice.found is not None
    assert choice.record["checks"]["stripped"] is True


def test_given_mask_of_this_scan_is_taken_without_a_word() -> None:
    for radius in (26, 30, 33):  # tight, exact and wide
        choice = _choose(head(_GRID), _mask(radius))
        assert choice.record["source"] == "given"
        assert choice.record["checks"]["disagreement"] < 0.04
        assert choice.warnings == []
        assert choice.found is None


def test_given_mask_of_another_scan_is_warned_about_or_refused() -> None:
    near = _choose(head(_GRID), _mask(30, (71, 64, 64)))
    assert any("another scan" in text for text in near.warnings)
    with pytest.raises(ValueError, match="shows no brain"):
        _choose(head(_GRID, 25), _mask(25, (100, 64, 64)))
    outside = _mask(30)
    outside.SetOrigin([o + 500 for o in outside.GetOrigin()])
    with pytest.raises(ValueError, match="belongs to this volume"):
        _choose(head(_GRID), outside)


def test_given_mask_that_no_brain_has() -> None:
    assert any(
        "fills 100 %" in text for text in _choose(head(_GRID), _GRID.image(np.ones(_GRID.shape, np.uint8))).warnings
    )
    assert any("mL, which no brain" in text for text in _choose(head(_GRID), _mask(10)).warnings)


def test_given_mask_counts_where_no_brain_is_found() -> None:
    choice = _choose(np.zeros(_GRID.shape, np.float32), _mask(30))
    assert choice.record["checks"]["disagreement"] is None
    assert choice.record["source"] == "given"


def test_missing_network_stops_auto_but_no_given_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: object) -> None:
        raise CheckpointError("gone")

    monkeypatch.setattr("SegSRGANLib.inference.brain.extraction.load_brain_extractor", missing)
    assert _choose(head(_GRID), _mask(30)).record["checks"]["disagreement"] is None
    with pytest.raises(CheckpointError, match="gone"):
        _choose(head(_GRID), "auto")


def test_without_an_extractor_auto_takes_the_whole_volume_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("SegSRGANLib.inference.brain.choice.has_brain_extractor", lambda: False)
    choice = _choose(head(_GRID), "auto")
    assert choice.mask is choice.found is None
    assert choice.record == {"source": "none", "wanted": "auto", "volume_ml": None, "checks": {}}
    assert choice.warnings and "give a mask" in choice.warnings[0]
    verdict = give_verdict({"mask": choice.record}, None)
    assert any(check["name"] == "brain mask" and not check["made"] for check in verdict["checks"])


def test_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="auto or none, not 'skull'"):
        _choose(head(_GRID), "skull")
