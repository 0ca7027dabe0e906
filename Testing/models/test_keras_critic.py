"""The critic in the original project's weight files is read with its numbers, or refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegSRGANLib.models.keras_critic import read_keras_critic
from SegSRGANLib.utils.errors import CheckpointError

h5py = pytest.importorskip("h5py", reason="the keras extra is not installed")


def write_critic(path, filters=1, channels=2, group="DX"):
    """A file as the original leaves it, with random weights and no generator; written without Keras."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        names, inputs = [], channels
        for number in range(1, 6):
            outputs = filters * 2 ** (number - 1)
            names += [f"{group}_conv_dis_{number}/{kind}:0" for kind in ("kernel", "bias")]
            file[f"{group}/{names[-2]}"] = rng.normal(0, 0.3, (4, 4, 4, inputs, outputs)).astype(np.float32)
            file[f"{group}/{names[-1]}"] = rng.normal(0, 0.3, outputs).astype(np.float32)
            inputs = outputs
        names.append("dis_decision/kernel:0")
        file[f"{group}/{names[-1]}"] = rng.normal(0, 0.3, (2, 2, 2, inputs, 1)).astype(np.float32)
        file[group].attrs["weight_names"] = [name.encode() for name in names]
    return path


@pytest.mark.parametrize(("channels", "conditional"), [(2, False), (3, False), (2, True)])
def test_scores_equal_keras(tmp_path, channels, conditional):
    keras_original = pytest.importorskip("support.keras_original", reason="no Keras", exc_type=ImportError)
    keras_original.keras.utils.set_random_seed(0)
    theirs = keras_original.critic(channels=channels, conditional=conditional)
    (tmp_path / "weights").write_bytes(b"")
    keras_original.add_critic(theirs, tmp_path / "weights")
    ours = read_keras_critic(tmp_path / "weights")
    assert (ours.config.filters, ours.config.channels) == (2, channels + conditional)
    images = np.random.default_rng(1).random((1, channels + conditional, 64, 64, 64), np.float32)
    given = [images[:, :channels], images[:, channels:]] if conditional else images
    expected = keras_original.ops.convert_to_numpy(theirs(given)).item()
    with torch.no_grad():
        score = ours(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 1, 4, 3, 2)))).item()
    assert score == pytest.approx(expected, rel=1e-4) and abs(score) > 1e-3


def test_a_critic_that_an_independent_convolution_agrees_with(tmp_path):
    """The first layer at one place, by hand: kernels (x, y, z, in, out) meet volumes (z, y, x)."""
    critic = read_keras_critic(write_critic(tmp_path / "weights.h5"))
    with h5py.File(tmp_path / "weights.h5") as file:
        kernel, bias = (file[f"DX/DX_conv_dis_1/{kind}:0"][()] for kind in ("kernel", "bias"))
    x = torch.rand(1, 2, 64, 64, 64)
    cut = x[0, :, 5:9, 3:7, 1:5].numpy()  # (in, z, y, x), whose first output voxel is (3, 2, 1)
    expected = np.einsum("xyzi,izyx->", kernel[..., 0], cut) + bias[0]
    assert critic.layers[0](x)[0, 0, 3, 2, 1].item() == pytest.approx(expected, rel=1e-4)
    assert not critic.layers[-1].bias.any()


def _without(path):
    with h5py.File(path, "a") as file:
        del file["DX"]


def _two(path):
    write_critic(path, group="DX_cond")


def _other_kernel(path):
    with h5py.File(path, "a") as file:
        del file["DX/DX_conv_dis_1/kernel:0"]
        file["DX/DX_conv_dis_1/kernel:0"] = np.zeros((1, 1, 1, 1, 1), np.float32)


def _no_bias(path):
    with h5py.File(path, "a") as file:
        names = [name for name in file["DX"].attrs["weight_names"] if "conv_dis_3/bias" not in str(name)]
        file["DX"].attrs["weight_names"] = names


def _not_finite(path):
    with h5py.File(path, "a") as file:
        file["DX/dis_decision/kernel:0"][0, 0, 0, 0, 0] = np.inf


def _link(path):
    with h5py.File(path, "a") as file:
        del file["DX"]
        file["DX"] = h5py.ExternalLink("/etc/passwd", "/")


def _cut(path):
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_without, "should hold one critic"),
        (_two, "should hold one critic"),
        (_other_kernel, "first kernel of DX has shape .*, not 4 x 4 x 4"),
        (_no_bias, "conv_dis_3/bias is missing"),
        (_not_finite, "dis_decision/kernel holds values that are not finite"),
        (_link, "link to elsewhere"),
        (_cut, "truncated or damaged|no member"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_a_critic_is_refused(damage, sentence, tmp_path):
    path = write_critic(tmp_path / "weights.h5")
    damage(path)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read_keras_critic(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("weights.h5")
