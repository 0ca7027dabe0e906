"""The forms that `predict` runs, judged by the plain network in float64, on maps whose mean is many deviations."""

from __future__ import annotations

import copy

import pytest
import torch
from support.inference_networks import VARIANTS, variant_network

from SegSRGANLib.inference.forms.fast_forward import FastGenerator
from SegSRGANLib.inference.forms.slab_forward import predict_streaming
from SegSRGANLib.networks.layers import InstanceNorm, KerasInstanceNorm
from SegSRGANLib.networks.moments import channel_moments

SHAPE = (1, 8, 64, 64, 64)
LAST = torch.channels_last_3d


def _uneven(shape: tuple[int, ...], ratio: float) -> torch.Tensor:
    """Noise of deviation 0.05 on a mean of `ratio` deviations."""
    torch.manual_seed(1)
    return 0.05 * (torch.randn(shape) + ratio)


@pytest.mark.parametrize("ratio", [0.0, 20.0, 200.0])
def test_moments_equal_those_in_float64(ratio):
    x = torch.cat([_uneven(SHAPE, ratio), _uneven(SHAPE, -ratio)])
    mean, variance = channel_moments(x.contiguous(memory_format=LAST))
    expected = torch.var_mean(x.double(), dim=(2, 3, 4), correction=0)
    torch.testing.assert_close(mean, expected[1], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(variance, expected[0], rtol=2e-5, atol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAST], ids=["channels first", "channels last"])
@pytest.mark.parametrize("call", ["forward", "without_gradient"])
@pytest.mark.parametrize("kind", [InstanceNorm, KerasInstanceNorm])
def test_normalization_of_a_large_mean(kind, call, layout):
    x = _uneven(SHAPE, 20.0)
    norm = kind(SHAPE[1])
    with torch.no_grad():
        exact = copy.deepcopy(norm).double()(x.double())
        result = getattr(norm, call)(x.contiguous(memory_format=layout))
    assert (result - exact).abs().max() < 3e-5


def test_normalization_of_a_large_mean_has_the_gradient_of_float64():
    x, norm = _uneven((1, 4, 16, 16, 16), 20.0), InstanceNorm(4)
    weights = torch.randn_like(x)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        given = x.to(dtype, memory_format=LAST).requires_grad_()
        (copy.deepcopy(norm).to(dtype)(given) * weights.to(dtype)).sum().backward()
        gradients.append(given.grad.double())
    assert (gradients[0] - gradients[1]).abs().max() < 1e-4 * gradients[1].abs().max()


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("form", ["patches", "whole volume"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_forms_of_predict_against_float64(variant, form, bright):
    """bright: the first filters do not cancel, so that the mean of their maps is some hundred deviations.

    Then the convolutions themselves round in float32, and the plain network in float32 is the yardstick.
    """
    network = variant_network(variant)
    if form == "whole volume" and getattr(network.config, "unet", False):
        pytest.skip("a U-Net is predicted in patches")
    x = _uneven((1, 1, 48, 40, 32), 20.0)
    with torch.no_grad():
        if bright:
            network.conv1.weight.abs_()
        exact = copy.deepcopy(network).double()(x.double())
        plain = (network(x) - exact).abs().max()
    fast = FastGenerator(network)
    result = fast(x) if form == "patches" else predict_streaming(fast, x, slab=8)
    assert (result - exact).abs().max() < (2 * plain if bright else 1e-4)
