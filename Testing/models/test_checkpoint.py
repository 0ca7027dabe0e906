"""Model files: round trip, and one sentence for everything that is not one."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from SegSRGANLib.models.card import ModelCard, read_card
from SegSRGANLib.models.checkpoint import load_checkpoint, load_model, save_checkpoint
from SegSRGANLib.models.header import METADATA_KEY
from SegSRGANLib.models.registry import list_models
from SegSRGANLib.networks.segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from SegSRGANLib.transforms.normalization import Normalization
from SegSRGANLib.utils.errors import CheckpointError

CARD = ModelCard(title="Tiny", normalization=Normalization("maximum"), training_slices=(2.0, 4.0), licence="Apache-2.0")


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, Generator(GeneratorConfig(filters=2, blocks=1)), CARD)
    return path


def _rewrite(path, change):
    """Read a model file apart, let `change(tensors, description)` alter it, and write it again."""
    with safe_open(path, framework="pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        description = json.loads(opened.metadata()[METADATA_KEY])
    change(tensors, description)
    save_file(tensors, path, {METADATA_KEY: json.dumps(description)})


def test_classes_round_trip(tmp_path):
    card = ModelCard(title="Three", classes=("cortex", "white matter", "deep grey"))
    path, network = tmp_path / "three.safetensors", Generator(GeneratorConfig(2, 1, classes=3))
    save_checkpoint(path, network, card)
    model = load_checkpoint(path)
    assert model.card == card and model.classes == card.classes
    x = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(model.network(x), network.eval()(x)) and model.network(x).shape[1] == 4
    with pytest.raises(ValueError, match="network segments 3 classes, but its card names cortex"):
        save_checkpoint(path, network, ModelCard())


def test_files_from_before_there_were_classes_segment_the_cortex(file):
    def without_classes(tensors, description):
        assert description["card"].pop("classes") == ["cortex"] and description["config"].pop("classes") == 1

    before = load_checkpoint(file)
    _rewrite(file, without_classes)
    after = load_checkpoint(file)
    assert after.card == before.card and after.classes == ("cortex",) and after.network.config == before.network.config


@pytest.mark.parametrize(
    "network",
    [Generator(GeneratorConfig(filters=2, blocks=3)), Discriminator(DiscriminatorConfig(filters=2))],
    ids=["generator", "discriminator"],
)
def test_round_trip(tmp_path, network):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network, CARD)
    model = load_checkpoint(path)
    assert model.card == CARD
    assert model.network.config == network.config
    assert not model.network.training
    for key, value in network.state_dict().items():
        assert torch.equal(model.network.state_dict()[key], value)


def test_half_precision_halves_the_file_and_rounds_the_weights(tmp_path):
    network, whole, half = Generator(GeneratorConfig(filters=8, blocks=2)), tmp_path / "w", tmp_path / "h"
    save_checkpoint(whole, network, CARD)
    save_checkpoint(half, network, CARD, half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    for key, value in load_checkpoint(half).network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, network.state_dict()[key].half().float())


def test_a_network_that_is_not_ours_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="Linear"):
        save_checkpoint(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), CARD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t, d: t.pop("conv1.weight"), "lacks the weight conv1.weight"),
        (lambda t, d: t.update(extra=torch.zeros(1)), "weight extra"),
        (lambda t, d: t.update({"conv1.weight": torch.zeros(1, 1, 7, 7, 7)}), "has shape"),
        (lambda t, d: t["norm1.bias"].fill_(float("nan")), "not finite"),
        (lambda t, d: d.update(architecture="transformer"), "cannot build"),
        (lambda t, d: d["config"].update(filters=10**9), "cannot build"),
        (lambda t, d: d["config"].update(filters="many"), "cannot build"),
        (lambda t, d: d["card"].update(colour="red"), "cannot build"),
        (lambda t, d: d["card"].update(training_slices=[1]), "cannot build"),
        (lambda t, d: d["card"].update(classes=["cortex", "white matter"]), "cannot build"),
        (lambda t, d: d["card"].update(classes=["../.."]), "cannot build"),
        (lambda t, d: d["card"].update(classes=5), "cannot build"),
        (lambda t, d: d.pop("card"), "cannot build"),
    ],
)
def test_wrong_contents_are_refused(file, change, message):
    _rewrite(file, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(file)


def test_damaged_and_foreign_files_are_refused(file, tmp_path):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(file)
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(file)
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="another project"):
        load_checkpoint(file)
    with pytest.raises(CheckpointError, match="no model file"):
        load_checkpoint(tmp_path / "absent.safetensors")


def test_unknown_model_name_lists_the_known_ones():
    names = [entry.name for entry in list_models()]
    with pytest.raises(CheckpointError, match=names[0]):
        load_model("nonsense")


def test_the_bundled_model_loads_and_is_the_papers():
    model = load_model("segsrgan-paper", "cpu")
    assert replace(model.network.config, calibration=0.0) == GeneratorConfig()
    assert model.card.licence and model.card.training_data


def test_a_card_is_read_without_its_network(tmp_path):
    card = ModelCard(title="Tiny", training_slices=(2.0, 4.0))
    save_checkpoint(tmp_path / "tiny.safetensors", Generator(GeneratorConfig(2, 1)), card)
    assert read_card(tmp_path / "tiny.safetensors") == card == load_checkpoint(tmp_path / "tiny.safetensors").card
