"""bfloat16 is taken where it is faster and changes little, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from SegSRGANLib.inference.forms import bfloat16_speed, precision
from SegSRGANLib.inference.forms.choice import Autocast, inference_form
from SegSRGANLib.inference.forms.precision import MOST_ERROR, NOISE, change_of, choose_precision
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.networks.srrecnn import SRReCNN, SRReCNNConfig

CPU = torch.device("cpu")
LARGE = torch.rand((80, 80, 84), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Cascade(CascadeConfig(2, 1, 1)).eval()


@pytest.mark.parametrize(("pays", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_whether_it_pays(monkeypatch, network, pays, chosen):
    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: pays)
    monkeypatch.setattr(precision, "MOST_FLIPS", 1.0)  # of random weights and noise
    dtype, record = choose_precision("auto", network, LARGE)
    assert record["chosen"] == chosen and dtype == getattr(torch, chosen)
    assert ("bfloat16_on_one_patch" in record) == pays
    json.dumps(record)


def test_auto_keeps_float32_where_bfloat16_changes_too_much(monkeypatch, network):
    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: True)
    monkeypatch.setattr(precision, "MOST_ERROR", 0.0)
    assert choose_precision("auto", network, LARGE)[0] == torch.float32


def test_auto_keeps_float32_where_an_operation_is_missing(monkeypatch, network):
    def form(network, dtype=torch.float32):
        if dtype == torch.bfloat16:
            raise RuntimeError("not implemented for 'BFloat16'")
        return network

    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: True)
    monkeypatch.setattr(precision, "inference_form", form)
    dtype, record = choose_precision("auto", network, LARGE)
    assert dtype == torch.float32 and "does not work here" in record["reason"]


def test_auto_keeps_float32_for_small_volumes_and_for_the_papers_network(monkeypatch, network):
    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: pytest.fail("should not be measured"))
    assert choose_precision("auto", network, LARGE[:16, :16, :16])[0] == torch.float32
    assert choose_precision("auto", Generator(GeneratorConfig(2, 1)), LARGE)[0] == torch.float32


def test_what_is_asked_for_is_done_or_refused(monkeypatch, network):
    assert choose_precision("float32", network, LARGE)[0] == torch.float32
    assert choose_precision("bfloat16", network, LARGE)[0] == torch.bfloat16
    monkeypatch.setattr(precision, "bfloat16_works", lambda device: False)
    with pytest.raises(ValueError, match="bfloat16 does not work on this cpu device"):
        choose_precision("bfloat16", network, LARGE)
    with pytest.raises(ValueError, match="one of auto, float32, bfloat16, not 'half'"):
        PredictionOptions(precision="half")


def test_the_record_names_the_precision(network):
    record = {}
    predict_volume(network, LARGE[:16, :16, :16], PredictionOptions(16, device="cpu"), record=record)
    assert record["precision"] == {"chosen": "float32", "reason": "the volume is small"}


def test_the_change_is_measured_relative_to_the_noise_of_a_good_scan():
    exact = np.zeros((2, 8, 8, 8), np.float32)
    exact[0], exact[1, :4] = 0.5, 0.9
    fast = exact.copy()
    fast[0] += 0.5 * NOISE * MOST_ERROR
    fast[1, 0, 0, :4] = 0.1
    change = change_of(exact, fast, 1)
    assert change["intensity_error"] == pytest.approx(MOST_ERROR, rel=1e-3)
    assert change["flipped"] == pytest.approx(4 / 256, abs=1e-5)
    fast[0, 0, 0, 0] = np.nan
    assert change_of(exact, fast, 1)["flipped"] == float("inf")


def test_the_speed_is_measured_once_and_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path))
    measured = []

    def seconds(device, dtype, repeats):
        measured.append(dtype)
        return 4.0 if dtype == torch.float32 else 1.0

    monkeypatch.setattr(bfloat16_speed, "_convolution_seconds", seconds)
    for _ in range(2):
        bfloat16_speed.speed_ratio.cache_clear()  # as in another process
        assert bfloat16_speed.speed_ratio(CPU) == 4.0
    assert len(measured) == 2
    (tmp_path / "cache" / "bfloat16.json").write_text("no JSON")
    bfloat16_speed.speed_ratio.cache_clear()
    assert bfloat16_speed.speed_ratio(CPU) == 4.0 and len(measured) == 4
    bfloat16_speed.speed_ratio.cache_clear()


def test_the_measurement_is_of_this_machine():
    assert bfloat16_speed._convolution_seconds(CPU, torch.float32, 1) > 0


def test_networks_without_a_form_of_their_own_run_under_autocast():
    network = SRReCNN(SRReCNNConfig(3, 4)).eval()
    x = torch.rand(1, 1, 12, 12, 12)
    form = inference_form(network, torch.bfloat16)
    assert isinstance(form, Autocast)
    with torch.inference_mode():
        exact, fast = network(x), form(x)
    assert fast.dtype == torch.float32 and 0 < (fast - exact).abs().max() < 0.05
