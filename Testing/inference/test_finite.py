"""What is not finite never leaves `enhance`."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.inference.finite import check_finite, finite_figures
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.transforms.normalization import Normalization
from SegSRGANLib.utils.errors import DataError


def _options(**changes) -> EnhanceOptions:
    return EnhanceOptions(spacing=0.8, prediction=PredictionOptions(patch=32, device="cpu"), **changes)


def _scan(outlier: float | None = None) -> sitk.Image:
    scan = blob(awkward_grids()["oblique"], sigma=2.2) * 900.0
    values = sitk.GetArrayFromImage(scan).astype(np.float32)
    if outlier is not None:
        values[2, 3, 4] = outlier
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(scan)
    return image


def _model(rule: str = "percentile", factor: float = 1.0) -> Model:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(4, 1)).eval()
    with torch.no_grad():
        network.output.weight.mul_(factor)
    return Model(network, ModelCard(normalization=Normalization(rule)))


@pytest.mark.parametrize("rule", ["percentile", "maximum"])
@pytest.mark.parametrize("outlier", [1e30, -1e29])
def test_a_voxel_beyond_all_measures_is_named(rule, outlier):
    with pytest.raises(DataError, match=rf"has a voxel of {re.escape(f'{outlier:.3g}')}, where bright ones have"):
        enhance(_scan(outlier), _model(rule), _options())


@pytest.mark.parametrize("uncertainty", [0, 2])
def test_weights_that_overflow_make_an_error(uncertainty):
    with pytest.raises(DataError, match="The model's prediction is NaN or infinite in"):
        enhance(_scan(), _model(factor=1e38), _options(uncertainty=uncertainty))


def test_a_prediction_that_overflows_in_the_units_of_the_scan_makes_an_error():
    scan = _scan() * 1e33
    with pytest.raises(DataError, match="The super-resolved volume is NaN or infinite in"):
        enhance(scan, _model(factor=1e10), _options(consistency=False))


def test_a_large_but_finite_volume_passes():
    check_finite(np.full(1000, 3e38, np.float32), "It", 1.0)
    with pytest.raises(DataError, match="in 1 of 1000"):
        check_finite(np.append(np.zeros(999, np.float32), np.float32("nan")), "It", 1.0)


def test_records_are_json_without_nan():
    figures = finite_figures({"a": [1.0, float("nan")], "b": {"c": float("inf"), "d": (2, "x")}, "e": None})
    expected = {"a": [1.0, None], "b": {"c": None, "d": [2, "x"]}, "e": None}
    assert json.loads(json.dumps(figures, allow_nan=False)) == expected
