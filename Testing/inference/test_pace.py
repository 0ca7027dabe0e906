"""How fast a network predicts is timed once, and remembered from the runs that there were."""

import json

import pytest
import torch

from SegSRGANLib.inference import pace
from SegSRGANLib.inference.estimate import prediction_seconds, remember_prediction
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

MILLIONS = (104, 104, 104)  # voxels of a region, one patch
OPTIONS = EnhanceOptions(prediction=PredictionOptions(patch=0, device="cpu"))


@pytest.fixture
def network(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path))
    return Generator(GeneratorConfig(2, 1)).eval()


def _timed(monkeypatch):
    calls = []
    monkeypatch.setattr(pace, "_timed", lambda network, side, dtype: calls.append((side, dtype)) or 2.0)
    return calls


def test_a_network_is_timed_once(network, monkeypatch):
    calls = _timed(monkeypatch)
    rates = {pace.seconds_per_megavoxel(network, 1000, "auto") for _ in range(3)}
    assert calls == [(32, torch.float32)] and rates == {2.0 / 32**3 * 1e6}


def test_a_run_tells_how_long_the_next_one_takes(network, monkeypatch):
    calls = _timed(monkeypatch)
    remember_prediction(network, MILLIONS, OPTIONS, seconds=30.0, skipped=0.0)
    other = Generator(GeneratorConfig(2, 1)).eval()  # as in another process
    assert prediction_seconds(other, MILLIONS, OPTIONS) == pytest.approx(30.0, rel=1e-3)
    assert prediction_seconds(other, (208, 104, 104), OPTIONS) == pytest.approx(60.0, rel=1e-3)
    assert not calls


def test_runs_that_say_little_are_not_remembered(network, monkeypatch, tmp_path):
    remember_prediction(network, (32, 32, 32), OPTIONS, seconds=30.0, skipped=0.0)
    remember_prediction(network, MILLIONS, OPTIONS, seconds=30.0, skipped=0.9)
    assert not (tmp_path / "cache" / "pace.json").exists()


@pytest.mark.parametrize("other", [Generator(GeneratorConfig(3, 1)), "float32"])
def test_another_network_or_precision_is_timed_by_itself(network, monkeypatch, other):
    calls = _timed(monkeypatch)
    pace.remember_pace(network, 2_000_000, "auto", 30.0)
    asked = (network, 2_000_000, other) if isinstance(other, str) else (other.eval(), 2_000_000, "auto")
    pace.seconds_per_megavoxel(*asked)
    assert len(calls) == 1


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"x": "y"}', '{"x": 1e999}'])
def test_a_damaged_file_is_measured_again(network, monkeypatch, tmp_path, content):
    calls = _timed(monkeypatch)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pace.json").write_text(content)
    pace.seconds_per_megavoxel(network, 2_000_000, "auto")
    assert len(calls) == 1
    pace.remember_pace(network, 2_000_000, "auto", 30.0)
    assert list(json.loads((tmp_path / "cache" / "pace.json").read_text()).values()) == [15.0]


def test_a_patch_takes_time(network):
    assert pace._timed(network, 32, torch.float32) > 0
