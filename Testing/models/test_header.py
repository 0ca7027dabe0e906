"""Bad model files: listed as unusable, refused by import and by loading, all with one sentence."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.models.header import METADATA_KEY, read_header
from SegSRGANLib.models.registry import list_models, user_models_folder
from SegSRGANLib.models.store import import_model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.utils.errors import CheckpointError

CARD = '{"normalization": {}, "training_spacing": [0.5, NUMBER], "training_slices": [1, 6]}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder, with one good model in it."""
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path))
    torch.manual_seed(0)
    user_models_folder().mkdir(parents=True)
    save_checkpoint(
        user_models_folder() / "good.safetensors", Generator(GeneratorConfig(2, 1)), ModelCard(title="Good")
    )
    return user_models_folder()


def _described(path, card: str, tensors=None) -> None:
    text = f'{{"architecture": "generator", "config": {{}}, "card": {card}}}'
    save_file(tensors or {"weight": torch.zeros(1)}, path, {METADATA_KEY: text})


def _header(path, change) -> None:
    """Let `change(header)` alter the JSON header of a file."""
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])


SPOILT = {
    "empty": lambda path, whole: path.write_bytes(b""),
    "text": lambda path, whole: path.write_bytes(b"nothing"),
    "endless header": lambda path, whole: path.write_bytes(b"\xff" * 7 + b"\x7f" + whole[8:]),
    "cut in its header": lambda path, whole: path.write_bytes(whole[:100]),
    "cut in its weights": lambda path, whole: path.write_bytes(whole[:-100]),
    "longer than it says": lambda path, whole: path.write_bytes(whole + b"1"),
    "a number of 400 digits": lambda path, whole: _described(path, CARD.replace("NUMBER", "1" + "0" * 400)),
    "no number": lambda path, whole: _described(path, CARD.replace("NUMBER", "NaN")),
    "deep": lambda path, whole: _described(path, CARD.replace("NUMBER", "[" * 5000 + "]" * 5000)),
    "a title of numbers": lambda path, whole: _described(path, CARD.replace("NUMBER", '1], "title": [5')),
    "a card that is a list": lambda path, whole: _described(path, "[]"),
    "no metadata": lambda path, whole: save_file({"weight": torch.zeros(1)}, path),
    "whole numbers": lambda path, whole: _described(
        path, CARD.replace("NUMBER", "1"), {"weight": torch.zeros(1, dtype=torch.int32)}
    ),
    "weights elsewhere": lambda path, whole: _header(path, lambda h: h["conv1.weight"].update(data_offsets=[4, 8])),
    "weights of no size": lambda path, whole: _header(path, lambda h: h["conv1.weight"].update(shape=[-1, 1])),
    "weights unplaced": lambda path, whole: _header(path, lambda h: h["conv1.weight"].pop("data_offsets")),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_bad_file_is_unusable_everywhere_and_hides_no_other(folder, tmp_path, name):
    bad = folder / "bad.safetensors"
    bad.write_bytes((folder / "good.safetensors").read_bytes())
    SPOILT[name](bad, bad.read_bytes())
    entries = {entry.name: entry for entry in list_models()}
    assert entries["good"].title == "Good" and entries["good"].training_spacing == ModelCard.training_spacing
    assert [key for key, entry in entries.items() if entry.error] == ["bad"]
    assert bad.name in entries["bad"].error and len(entries["bad"].error) < 500
    copy = bad.rename(tmp_path / "bad.safetensors")
    for use in (import_model, load_checkpoint):
        with pytest.raises(CheckpointError) as caught:
            use(copy)
        assert str(caught.value) == entries["bad"].error
    assert [path.name for path in folder.iterdir()] == ["good.safetensors"]


def test_import_finds_values_that_are_not_finite(folder, tmp_path):
    network = Generator(GeneratorConfig(2, 1))
    with torch.no_grad():
        network.norm1.bias[1] = float("inf")
    save_checkpoint(tmp_path / "hot.safetensors", network, ModelCard(), half=True)
    with pytest.raises(CheckpointError, match=r"norm1.bias holds values that are not finite"):
        import_model(tmp_path / "hot.safetensors")


def test_the_header_says_where_the_weights_are(folder):
    path = folder / "good.safetensors"
    network = load_checkpoint(path).network
    header = read_header(path)
    assert header.tensors.keys() == network.state_dict().keys()
    whole = path.read_bytes()
    for name, weights in network.state_dict().items():
        stored = header.tensors[name]
        values = torch.frombuffer(
            bytearray(whole[stored.offset : stored.offset + weights.numel() * 4]), dtype=torch.float32
        )
        assert torch.equal(values.reshape(stored.shape), weights)
