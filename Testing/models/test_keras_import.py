"""Weight files of the original project are read, or refused in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.models.keras_import import read_keras_file
from SegSRGANLib.utils.errors import CheckpointError

h5py = pytest.importorskip("h5py", reason="the keras extra is not installed")
DATA = Path(__file__).parents[1] / "models" / "data"
PLAIN, UNET = DATA / "original-plain.h5", DATA / "original-unet-conditional-mask.h5"


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copy(PLAIN, tmp_path / "weights.h5"))


def test_a_split_list_of_weights_is_read(copy):
    whole, _ = read_keras_file(copy)
    with h5py.File(copy, "a") as file:
        names = _names(file)
        del file["G"].attrs["weight_names"]
        for number in range(11):
            file["G"].attrs[f"weight_names{number}"] = names[number::11]
    for key, value in read_keras_file(copy)[0].state_dict().items():
        assert torch.equal(value, whole.state_dict()[key])


def test_axes_are_reversed_with_the_kernels():
    network, _ = read_keras_file(PLAIN)
    with h5py.File(PLAIN) as file:
        kernel = file["G/G_gen_conv2/kernel:0"][()]
    assert network.conv2.weight[1, 0, 2, 1, 0].item() == kernel[0, 1, 2, 0, 1]


@pytest.mark.parametrize("path", [PLAIN, UNET], ids=["plain", "U-Net"])
def test_an_imported_model_survives_saving(path, tmp_path):
    network, card = read_keras_file(path, ModelCard(title="Imported"))
    save_checkpoint(tmp_path / "model.safetensors", network, card)
    model = load_checkpoint(tmp_path / "model.safetensors")
    x = torch.rand(1, 1, 8, 8, 8)
    assert model.card == card
    assert torch.equal(model.network(x), network(x))


def _drop_group(file):
    del file["G"]


def _two_generators(file):
    file.create_group("G_cond")


def _no_names(file):
    del file["G"].attrs["weight_names"]


def _wrong_shape(file):
    del file["G/G_gen_conv2/kernel:0"]
    file["G/G_gen_conv2/kernel:0"] = np.zeros((3, 3, 3, 2, 2), np.float32)


def _flat_kernel(file):
    del file["G/G_gen_conv1/kernel:0"]
    file["G/G_gen_conv1/kernel:0"] = np.zeros(343, np.float32)


def _names(file):
    return np.array(file["G"].attrs["weight_names"], dtype="S")


def _missing_weight(file):
    file["G"].attrs["weight_names"] = [name for name in _names(file) if b"block6_conv_b" not in name]


def _missing_array(file):
    del file["G/G_gen_conv3/kernel:0"]


def _unknown_weight(file):
    file["G"].attrs["weight_names"] = [*_names(file), b"G_gen_block7_conv_a/kernel:0"]


def _foreign_weight(file):
    file["G"].attrs["weight_names"] = [b"block1_conv1/kernel:0"]


def _not_finite(file):
    file["G/G_gen_conv3/kernel:0"][0, 0, 0, 0, 0] = np.nan


def _text(file):
    del file["G/G_gen_conv3/kernel:0"]
    file["G/G_gen_conv3/kernel:0"] = "weights"


def _external_link(file):
    del file["G/G_gen_conv3/kernel:0"]
    file["G/G_gen_conv3/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/")


def _linked_group(file):
    del file["G"]
    file["G"] = h5py.SoftLink("/DX")


def _external_storage(file):
    shape = file["G/G_gen_conv3/kernel:0"].shape
    del file["G/G_gen_conv3/kernel:0"]
    file["G"].create_dataset(
        "G_gen_conv3/kernel:0", shape, np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def _huge_dataspace(file):
    del file["G/G_gen_conv1/kernel:0"]
    file["G"].create_dataset("G_gen_conv1/kernel:0", (7, 7, 7, 1, 2**40), np.float32, chunks=(7, 7, 7, 1, 1))


def _huge_scale(file):
    del file["G/G_gen_isnorm_conv1/scale:0"]
    file["G"].create_dataset("G_gen_isnorm_conv1/scale:0", (2**44,), np.float32, chunks=(1,))


HOSTILE = {
    _drop_group: "one generator",
    _two_generators: "one generator",
    _no_names: "weight_names",
    _wrong_shape: r"conv2/kernel has shape \(3, 3, 3, 2, 2\), but \(3, 3, 3, 1, 2\)",
    _flat_kernel: "not three-dimensional",
    _missing_weight: "block6_conv_b/kernel is missing",
    _missing_array: "has no member 'kernel:0'",
    _unknown_weight: "unknown weight, block7_conv_a/kernel",
    _foreign_weight: "'block1_conv1/kernel:0' is not a weight of the original's",
    _not_finite: "conv3/kernel holds values that are not finite",
    _text: "not an array of numbers",
    _external_link: "link to elsewhere",
    _linked_group: "link to elsewhere",
    _external_storage: "not stored inside the file",
    _huge_dataspace: "1 to 256 filters",
    _huge_scale: "isnorm_conv1/scale has shape",
}


@pytest.mark.parametrize("damage", HOSTILE, ids=lambda damage: damage.__name__[1:])
def test_hostile_files_are_refused_in_one_sentence(damage, copy):
    with h5py.File(copy, "a") as file:
        damage(file)
    with pytest.raises(CheckpointError, match=HOSTILE[damage]) as caught:
        read_keras_file(copy)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(copy.name)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(share, copy):
    content = copy.read_bytes()
    copy.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="weights.h5"):
        read_keras_file(copy)


@pytest.mark.parametrize("seed", range(20))
def test_a_corrupted_file_is_read_or_refused(seed, copy):
    """Random bytes in the structure never lead to another error than our own."""
    rng = np.random.default_rng(seed)
    content = bytearray(copy.read_bytes())
    for place in rng.integers(8, 4000, 20):
        content[place] = rng.integers(256)
    copy.write_bytes(content)
    try:
        read_keras_file(copy)
    except CheckpointError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "model.pb"
    path.write_bytes(b"\x08\x01 not hdf5")
    with pytest.raises(CheckpointError, match="not an HDF5 file"):
        read_keras_file(path)
