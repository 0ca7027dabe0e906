"""The original project's weight files: read without Keras, with its numbers; damaged and hostile ones refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from SegSRGANLib.models.keras_import import read_keras_file
from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.networks.layers import KerasInstanceNorm

h5py = pytest.importorskip("h5py", reason="the keras extra is not installed")
DATA = Path(__file__).parents[1] / "models" / "data"
PLAIN, UNET = DATA / "original-plain.h5", DATA / "original-unet-conditional-mask.h5"
VARIANTS = {
    "plain": {},
    "non-residual": {"residual": False},
    "conditional": {"conditional": True},
    "U-Net": {"unet": True},
    "conditional non-residual U-Net": {"unet": True, "conditional": True, "residual": False},
    "mask probability": {"mask_channels": 1},
    "mask classes": {"mask_channels": 2},
}


def _predict(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """Our networks see (z, y, x), the original's (x, y, z)."""
    x = torch.from_numpy(np.ascontiguousarray(image.T))[None, None]
    with torch.no_grad():
        return network(x)[0].numpy().transpose(0, 3, 2, 1)


@pytest.mark.parametrize("path", [PLAIN, UNET], ids=["plain", "U-Net"])
def test_committed_files_give_what_keras_gave(path):
    network, card = read_keras_file(path)
    with h5py.File(path) as file:
        image, expected = file["parity/image"][()], file["parity/output"][()]
    assert np.abs(_predict(network, image) - expected).max() < 1e-4
    assert card.normalization.rule == "maximum"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_equals_keras(variant, tmp_path):
    reason = "Keras is not installed"
    keras_original = pytest.importorskip("support.keras_original", reason=reason, exc_type=ImportError)
    image = np.random.default_rng(1).random((8, 16, 12), np.float32)
    keras_original.keras.utils.set_random_seed(0)
    model = keras_original.generator(image.shape, **VARIANTS[variant])
    keras_original.save_keras2(model, tmp_path / "weights", parts=3 if variant == "plain" else 1)
    network, _ = read_keras_file(tmp_path / "weights")
    assert network.config == KerasGeneratorConfig(2, **VARIANTS[variant])
    expected = keras_original.predict(model, image, spacing=3.2)
    assert np.abs(_predict(network, image) - expected).max() < 1e-4


def test_normalization_divides_by_the_deviation_plus_1e_7():
    norm = KerasInstanceNorm(1)
    x = 1e-7 * torch.randn(1, 1, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = (x - x.mean()) / (x.std(correction=0) + 1e-7)
    assert torch.allclose(norm(x.float()).double(), expected, atol=1e-4)


def test_the_spacing_channel_changes_nothing():
    torch.manual_seed(0)
    network = KerasGenerator(KerasGeneratorConfig(4, conditional=True)).eval()
    x = torch.rand(1, 1, 16, 12, 8)
    with torch.no_grad():
        alone = network(x)
        for spacing in (0.5, 3.0):
            both = network(torch.cat([x, torch.full_like(x, spacing)], dim=1))
            assert (both - alone).abs().max() < 1e-4


def test_a_constant_volume_has_a_finite_result_and_gradient():
    network = KerasGenerator(KerasGeneratorConfig(2))
    y = network(torch.zeros(1, 1, 8, 8, 8))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(network.conv2.weight.grad).all()
