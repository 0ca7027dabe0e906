"""The inference forms give the numbers of the plain network."""

from __future__ import annotations

import pytest
import torch
from support.inference_networks import VARIANTS, variant_network

from SegSRGANLib.inference.forms.fast_forward import FastGenerator
from SegSRGANLib.inference.forms.slab_forward import predict_streaming
from SegSRGANLib.utils.errors import Cancelled


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (2, 16, 12, 20)], ids=["smallest", "batch"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_fast_form_equals_thevariant_network(variant, shape):
    network = variant_network(variant)
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
    network = variant_network(variant)
    x = contrast * torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = network(x)
    assert (FastGenerator(network)(x) - expected).abs().max() < 1e-4


def test_fast_form_leaves_its_input_alone():
    x = torch.rand(1, 1, 8, 8, 8)
    before = x.clone()
    FastGenerator(variant_network("original U-Net"))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("slab", [4, 8, 12, None])
@pytest.mark.parametrize("variant", [name for name in VARIANTS if "U-Net" not in name])
def test_streaming_equals_thevariant_network(variant, slab):
    network = variant_network(variant)
    x = torch.rand(1, 1, 28, 12, 8)
    with torch.no_grad():
        expected = network(x)
    result = predict_streaming(FastGenerator(network), x, slab=slab)
    assert (result - expected).abs().max() < 1e-4


def test_streaming_reports_and_stops():
    form, x, seen = FastGenerator(variant_network("paper")), torch.rand(1, 1, 16, 8, 8), []
    predict_streaming(form, x, slab=4, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) == 16
    answers = iter([False] * 7 + [True])
    with pytest.raises(Cancelled):
        predict_streaming(form, x, slab=4, should_stop=lambda: next(answers))


def test_streaming_refuses_a_unet():
    with pytest.raises(ValueError, match="U-Net"):
        predict_streaming(FastGenerator(variant_network("original U-Net")), torch.rand(1, 1, 8, 8, 8))
