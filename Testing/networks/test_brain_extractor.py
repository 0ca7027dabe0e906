"""The brain extractor's network: shapes, scale of its input, size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from SegSRGANLib.networks.brain_extractor import BrainExtractor, BrainExtractorConfig, scaled_input


def test_logit_of_each_voxel() -> None:
    network = BrainExtractor(BrainExtractorConfig((4, 6, 8))).eval()
    assert network.config.multiple == 4
    assert network(torch.rand(2, 1, 8, 12, 16)).shape == (2, 1, 8, 12, 16)


def test_default_network_fits_into_two_megabytes_of_half_precision() -> None:
    assert sum(p.numel() for p in BrainExtractor().parameters()) * 2 < 2e6


def test_block_is_convolution_batch_normalization_and_leaky_relu() -> None:
    torch.manual_seed(0)
    block = BrainExtractor(BrainExtractorConfig((4, 6))).stem
    for values in (block.weight, block.bias, block.running_mean):
        torch.nn.init.normal_(values)
    x = torch.randn(2, 1, 5, 6, 7)
    y = block.conv(x)
    scale, shift = (t.view(1, 4, 1, 1, 1) for t in (block.weight, block.bias))
    over = {"dim": (0, 2, 3, 4), "keepdim": True}
    known = block.running_mean.view(1, 4, 1, 1, 1)
    frozen = F.leaky_relu((y - known) / (1 + 1e-5) ** 0.5 * scale + shift, 0.01)
    torch.testing.assert_close(block.eval()(x), frozen, atol=1e-5, rtol=1e-5)
    variance, mean = torch.var_mean(y, correction=0, **over)
    learning = F.leaky_relu((y - mean) / (variance + 1e-5).sqrt() * scale + shift, 0.01)
    torch.testing.assert_close(block.train()(x), learning, atol=1e-5, rtol=1e-5)


def test_brain_in_one_volume_does_not_change_the_logits_of_another() -> None:
    torch.manual_seed(0)
    network = BrainExtractor(BrainExtractorConfig((4, 6))).eval()
    volumes = torch.rand(2, 1, 8, 8, 8)
    alone = network(volumes[:1])
    torch.testing.assert_close(network(volumes)[:1], alone)


def test_scale_is_the_99th_percentile_of_content() -> None:
    x = torch.zeros(1, 1, 10, 10, 20)
    x[..., 10:] = torch.linspace(1, 1000, 1000).view(1, 1, 10, 10, 10)
    scaled = scaled_input(x)
    assert float(scaled[0, 0, 9, 9, 18]) == pytest.approx(999 / 990, abs=0.01)
    assert float(scaled[..., :10].abs().max()) == 0


def test_scale_does_not_depend_on_the_unit_and_cuts_outliers() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 1, 12, 12, 12)
    x[:, :, 0, 0, 0] = 1e6
    torch.testing.assert_close(scaled_input(x), scaled_input(x * 4000))
    assert float(scaled_input(x).max()) == 1.5


def test_volume_without_content_stays_zero() -> None:
    assert float(scaled_input(torch.zeros(1, 1, 4, 4, 4)).abs().max()) == 0
