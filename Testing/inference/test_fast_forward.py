"""The inference forms give the numbers of the plain network."""

from __future__ import annotations

import pytest
import torch

from SegSRGANLib.inference.fast_forward import FastGenerator
from SegSRGANLib.inference.slab_forward import predict_streaming
from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.utils.errors import Cancelled

VARIANTS = {
    "paper": (Generator, GeneratorConfig(4, 2)),
    "three classes": (Generator, GeneratorConfig(4, 2, classes=3)),
    "original": (KerasGenerator, KerasGeneratorConfig(4)),
    "original non-residual": (KerasGenerator, KerasGeneratorConfig(4, residual=False)),
    "original conditional": (KerasGenerator, KerasGeneratorConfig(4, conditional=True)),
    "original U-Net": (KerasGenerator, KerasGeneratorConfig(4, unet=True)),
    "original U-Net, mask": (KerasGenerator, KerasGeneratorConfig(3, unet=True, mask_channels=3)),
    "original mask": (KerasGenerator, KerasGeneratorConfig(5, mask_channels=1)),
}


def _network(variant: str) -> torch.nn.Module:
    torch.manual_seed(0)
    kind, config = VARIANTS[variant]
    network = kind(config).eval()
    for name, parameter in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.5)
    return network


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (2, 16, 12, 20)], ids=["smallest", "batch"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_fast_form_equals_the_network(variant, shape):
    network = _network(variant)
    x = torch.rand(shape[0], 1, *shape[1:])
    with torch.no_grad():
        expected = network(x)
    result = FastGenerator(network)(x)
    assert (result[:, 0] - expected[:, 0]).abs().max() < 1e-4
    assert (result[:, 1:] - expected[:, 1:]).abs().max() < 1e-4


@pytest.mark.parametrize("contrast", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("variant", ["paper", "original"])
def test_fast_form_of_faint_patches(variant, contrast):
    """Where a patch has nearly no contrast, what is added to the deviation decides."""
    network = _network(variant)
    x = contrast * torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = network(x)
    assert (FastGenerator(network)(x) - expected).abs().max() < 1e-4


def test_fast_form_leaves_its_input_alone():
    x = torch.rand(1, 1, 8, 8, 8)
    before = x.clone()
    FastGenerator(_network("original U-Net"))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("slab", [4, 8, 12, None])
@pytest.mark.parametrize("variant", [name for name in VARIANTS if "U-Net" not in name])
def test_streaming_equals_the_network(variant, slab):
    network = _network(variant)
    x = torch.rand(1, 1, 28, 12, 8)
    with torch.no_grad():
        expected = network(x)
    result = predict_streaming(FastGenerator(network), x, slab=slab)
    assert (result - expected).abs().max() < 1e-4


def test_streaming_reports_and_stops():
    form, x, seen = FastGenerator(_network("paper")), torch.rand(1, 1, 16, 8, 8), []
    predict_streaming(form, x, slab=4, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) == 16
    answers = iter([False] * 7 + [True])
    with pytest.raises(Cancelled):
        predict_streaming(form, x, slab=4, should_stop=lambda: next(answers))


def test_streaming_refuses_a_unet():
    with pytest.raises(ValueError, match="U-Net"):
        predict_streaming(FastGenerator(_network("original U-Net")), torch.rand(1, 1, 8, 8, 8))
