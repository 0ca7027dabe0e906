"""The inference form of the cascade gives the numbers of the plain modules; bfloat16 changes them within bounds."""

from __future__ import annotations

import pytest
import torch

from SegSRGANLib.inference.forms.cascade_forward import FastCascade, channel_moments
from SegSRGANLib.inference.forms.fused_convolution import PreparedConv, fused_operators_work
from SegSRGANLib.inference.forms.precision import MOST_ERROR, MOST_FLIPS, change_of
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.layers import InstanceNorm
from SegSRGANLib.utils.errors import Cancelled

CONFIGS = {
    "smallest": CascadeConfig(2, 1, 1),
    "seven classes": CascadeConfig(8, 2, 2, classes=7),
    "deep": CascadeConfig(4, 3, 4, classes=2),
}


def _network(config: CascadeConfig) -> Cascade:
    """With weights that a trained network could have: no block is the identity, no normalization the plain one."""
    torch.manual_seed(0)
    network = Cascade(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.05)
        if isinstance(module, InstanceNorm):
            torch.nn.init.normal_(module.weight, 1.0, 0.5)
            torch.nn.init.normal_(module.bias, 0.0, 0.5)
    return network


def _exact(network: Cascade, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result = network.double()(x.double())
    network.float()
    return result


@pytest.mark.parametrize("mean", [0.5, 20.0], ids=["as scaled", "mean 20 times the deviation"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_equals_float64_as_the_plain_modules_do(config, mean):
    network = _network(config)
    x = mean + torch.randn((1, 1, 32, 48, 64), generator=torch.Generator().manual_seed(1))
    exact = _exact(network, x)
    with torch.no_grad():
        plain = (network(x) - exact).abs().amax(dim=(0, 2, 3, 4))
    fast = (FastCascade(network)(x) - exact).abs().amax(dim=(0, 2, 3, 4))
    assert (fast <= 4 * plain + 1e-5).all(), (fast, plain)


def test_a_batch_is_each_of_its_volumes():
    network = _network(CONFIGS["seven classes"])
    x = torch.rand(2, 1, 16, 16, 24)
    form = FastCascade(network)
    assert torch.allclose(form(x), torch.cat([form(x[:1]), form(x[1:])]), atol=1e-6)


@pytest.mark.parametrize("slab", [1, 2, 3, 5, 8])
def test_slabs_do_not_change_the_intensities(slab):
    form, x = FastCascade(_network(CONFIGS["deep"])), torch.rand(16, 12, 20)
    whole, slabs, seen = torch.empty_like(x), torch.empty_like(x), []
    form.sharpen(x, whole)
    form.sharpen(x, slabs, slab, seen.append)
    assert (slabs - whole).abs().max() < 1e-5
    assert seen == sorted(seen) and seen[-1] == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fused", [True, False])
def test_a_prepared_convolution_is_a_convolution(dtype, fused):
    if fused and not fused_operators_work(dtype):
        pytest.skip("this build of torch or processor has no fused convolution of this type")
    x, filters, bias = torch.randn(1, 4, 6, 7, 8), torch.randn(5, 4, 3, 3, 3), torch.randn(5)
    expected = torch.nn.functional.conv3d(x, filters, bias, padding=1)
    layer = PreparedConv(filters, bias, dtype=dtype)
    layer._fused = fused
    close = 1e-4 if dtype == torch.float32 else 0.5
    assert (layer(x.to(dtype), (1, 1, 1)).float() - expected).abs().max() < close
    leaky = torch.nn.functional.leaky_relu(expected, 0.1)
    assert (layer(x.to(dtype), (1, 1, 1), 0.1).float() - leaky).abs().max() < close
    plain = PreparedConv(filters[:4], dtype=dtype)
    plain._fused = fused
    total = x.to(dtype).contiguous(memory_format=torch.channels_last_3d)
    plain.add_to(total, x.to(dtype), (1, 1, 1))
    added = x + torch.nn.functional.conv3d(x, filters[:4], padding=1)
    assert (total.float() - added).abs().max() < close


def test_moments_of_a_map_far_from_zero():
    y = 1000 + torch.randn((1, 3, 40, 40, 40), generator=torch.Generator().manual_seed(0))
    y = y.contiguous(memory_format=torch.channels_last_3d)
    mean, variance = channel_moments(y)
    exact = y.double()
    assert torch.allclose(mean.double(), exact.mean(dim=(0, 2, 3, 4)), atol=2e-4)
    assert torch.allclose(variance.double(), exact.var(dim=(0, 2, 3, 4), correction=0), rtol=1e-4)


def test_a_volume_is_super_resolved_without_borders_of_patches():
    """The intensities are those of the network over the whole volume, whatever the patches of the segmentation are."""
    network = _network(CONFIGS["seven classes"])
    volume = torch.rand(48, 16, 16)
    with torch.no_grad():
        expected = network(volume[None, None])[0]
    options = PredictionOptions(16, 0.5, device="cpu", precision="float32")
    assert (predict_volume(network, volume, options)[0] - expected[0]).abs().max() < 1e-5
    at_once = PredictionOptions(0, device="cpu", precision="float32")
    assert (predict_volume(network, volume, at_once) - expected).abs().max() < 1e-5


def test_a_cascade_reports_and_stops():
    network, seen = _network(CONFIGS["smallest"]), []
    options = PredictionOptions(16, 0.0, device="cpu")
    predict_volume(network, torch.rand(32, 16, 16), options, lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0
    answers = iter([False] * 2 + [True])
    with pytest.raises(Cancelled):
        predict_volume(network, torch.rand(32, 16, 16), options, should_stop=lambda: next(answers))


def test_bfloat16_stays_within_the_bounds():
    """On a smooth volume; a cascade of random filters changes more than a trained one."""
    network = _network(CONFIGS["deep"])
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, 48)] * 3, indexing="ij")
    volume = 0.8 * torch.exp(-3 * (z**2 + y**2 + x**2)) + 0.1 * torch.sin(9 * x)
    exact, fast = (
        predict_volume(network, volume, PredictionOptions(0, device="cpu", precision=precision)).numpy()
        for precision in ("float32", "bfloat16")
    )
    change = change_of(exact, fast, 2)
    assert 0 < change["intensity_error"] <= MOST_ERROR
    assert change["flipped"] <= 5 * MOST_FLIPS
