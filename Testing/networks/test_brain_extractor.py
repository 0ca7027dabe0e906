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


def test_block_is_convolution_instance_normalization_and_leaky_relu() -> None:
    torch.manual_seed(0)
    block = BrainExtractor(BrainExtractorConfig((4, 6))).stem
    torch.nn.init.normal_(block.weight)
    torch.nn.init.normal_(block.bias)
    x = torch.randn(2, 1, 5, 6, 7)
    expected = F.leaky_relu(F.instance_norm(block.conv(x), weight=block.weight, bias=block.bias), 0.01)
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


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
