"""Networks of the original project, run as it runs them: judged by its formula, written down again with numpy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.transforms.normalization import Normalization

SHAPE = (22, 18, 27)  # z, y, x
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # left-right and front-back, as most files are stored


def _network(**variant) -> KerasGenerator:
    torch.manual_seed(0)
    network = KerasGenerator(KerasGeneratorConfig(3, **variant)).eval()
    for name, parameter in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.3)
    return network


def _scan():
    values = np.random.default_rng(0).random(SHAPE, np.float32) * 900 + 50
    return Grid(SHAPE[::-1], (0.5, 0.5, 0.5), (3.0, -2.0, 1.0), FLIPPED).image(values), values


def _formula(network, values: np.ndarray, patch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pham et al.'s code in words: divide by the maximum, zeros around, patches at every step, sum over count."""
    exact, volume = copy.deepcopy(network).double(), values.astype(np.float64) / values.max()
    added = [step - (n - patch) % step if patch else 4 - n % 4 for n in volume.shape]
    padded = np.pad(volume, [(a // 2, a - a // 2) for a in added])
    sides = [patch or n for n in padded.shape]
    total, count = np.zeros((2, *padded.shape)), np.zeros(padded.shape)
    for z in range(0, padded.shape[0] - sides[0] + 1, step):
        for y in range(0, padded.shape[1] - sides[1] + 1, step):
            for x in range(0, padded.shape[2] - sides[2] + 1, step):
                place = (slice(z, z + sides[0]), slice(y, y + sides[1]), slice(x, x + sides[2]))
                with torch.no_grad():
                    total[(slice(None), *place)] += exact(torch.from_numpy(padded[place])[None, None])[0].numpy()[:2]
                count[place] += 1
    z, y, x = (slice(a // 2, a // 2 + n) for a, n in zip(added, volume.shape, strict=True))
    intensity, cortex = (total / count)[:, z, y, x]
    return np.maximum(intensity * values.max(), values.min()), cortex


def _arrays(result) -> tuple[np.ndarray, np.ndarray]:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(result.sr), sitk.GetArrayFromImage(result.probability)


@pytest.mark.parametrize(
    ("patch", "step", "variant"),
    [(16, 8, {}), (16, 5, {}), (12, 12, {"unet": True}), (0, 1, {}), (16, 8, {"residual": False})],
)
def test_intensity_and_probability_are_those_of_the_originals_pipeline(patch, step, variant):
    network = _network(**variant)
    image, values = _scan()
    card = ModelCard(normalization=Normalization("maximum"), as_original=True)
    prediction = PredictionOptions(patch, 1 - step / patch if patch else 0.5, device="cpu")
    result = enhance(image, Model(network, card), EnhanceOptions(0.5, prediction=prediction))
    intensity, cortex = _arrays(result)
    expected = _formula(network, values, patch, step if patch else 1000)
    assert np.abs(intensity - expected[0]).max() < 1e-5 * values.max()
    assert np.abs(cortex - expected[1]).max() < 1e-5
    assert result.record["as_original"] is True


@pytest.mark.parametrize(("patch", "overlap"), [(32, 0.4), (32, 0.25), (0, 0.5)])
def test_a_cascade_takes_fixed_patches_too(patch, overlap):
    """Also where the step is odd, and where a side is shorter than the network's smallest."""
    volume, how = torch.rand(37, 41, 30), {}
    options = PredictionOptions(patch, overlap, device="cpu", precision="float32", as_original=True)
    whole = predict_volume(Cascade(CascadeConfig(4, 1)).eval(), volume, options, record=how)
    assert whole.shape == (2, 37, 41, 30) and torch.isfinite(whole).all()
    assert how.get("patches", 4) == 4 and how.get("skipped", 0) == 0


def test_the_option_decides_over_the_card():
    image, _ = _scan()
    prediction = PredictionOptions(16, device="cpu")

    def run(card: bool, option: bool | None):
        model = Model(_network(), ModelCard(normalization=Normalization("maximum"), as_original=card))
        return _arrays(enhance(image, model, EnhanceOptions(0.5, prediction=prediction, as_original=option)))

    original, own = run(True, None), run(False, None)
    np.testing.assert_array_equal(run(False, True)[0], original[0])
    np.testing.assert_array_equal(run(True, False)[0], own[0])
    assert np.abs(original[1] - own[1]).max() > 1e-3  # axes, zeros and window do change what the network says
