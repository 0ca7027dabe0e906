"""A scan is prepared once for all stages, and agrees with the functions that prepare its parts."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.data import Grid
from SegSRGANLib.inference import PredictionOptions, prepared_scan
from SegSRGANLib.inference.run_context import RunContext
from SegSRGANLib.models import Model, ModelCard
from SegSRGANLib.networks import Generator, GeneratorConfig
from SegSRGANLib.transforms import enforce_data_consistency, resample_labels
from SegSRGANLib.utils import Cancelled

OPTIONS = EnhanceOptions(1.0, prediction=PredictionOptions(device="cpu"))


@pytest.fixture
def scan():
    return blob(awkward_grids()["oblique"], 4.0) * 100 + 1


@pytest.fixture
def mask(scan):
    return sitk.Cast(scan > 20, sitk.sitkUInt8)


def _prepared(scan, mask):
    return prepared_scan.prepare(scan, mask, ModelCard(), OPTIONS, RunContext(lambda fraction, message: None))


def test_mask_and_forward_model_are_made_once(scan, mask, monkeypatch):
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard(consistent_input=True))
    calls = {"resample_labels": 0, "ForwardModel": 0, "DataConsistency": 0}
    for name in calls:
        made = getattr(prepared_scan, name)

        def counted(*arguments, name=name, made=made):
            calls[name] += 1
            return made(*arguments)

        monkeypatch.setattr(prepared_scan, name, counted)
    enhance(scan, model, OPTIONS, mask=mask)
    assert set(calls.values()) == {1}, calls


def test_its_parts_are_those_of_the_functions(scan, mask):
    prepared = _prepared(scan, mask)
    on_output = sitk.GetArrayFromImage(resample_labels(mask, prepared.scan.output)) > 0
    assert np.array_equal(prepared.scan.inside, on_output)
    assert np.array_equal(prepared.counted, on_output[prepared.region])
    assert not prepared.given.numpy()[~prepared.counted].any()
    noise = np.random.default_rng(0).uniform(0, 100, prepared.scan.output.shape).astype(np.float32)
    enforced = prepared.scan.consistency.enforce(noise, prepared.scan.inside)
    expected = enforce_data_consistency(scan, prepared.scan.output.image(noise), mask)
    assert np.array_equal(enforced, sitk.GetArrayFromImage(expected))


def test_without_a_mask_everything_counts(scan):
    prepared = _prepared(scan, None)
    assert prepared.scan.inside is None and prepared.counted is None
    assert prepared.scan.output.same_direction(Grid.of(scan))


def test_a_step_that_was_not_begun_is_not_begun():
    run = RunContext(lambda fraction, message: None, lambda: True)
    with pytest.raises(Cancelled), run.step("first"):
        pytest.fail("the step was begun")
    assert not run.seconds
