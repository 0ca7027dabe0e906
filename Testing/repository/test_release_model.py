"""A trained model becomes a released one by a command."""

import importlib.util
import json
from pathlib import Path

import torch
from support import training_brains

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig


def _release(monkeypatch, *arguments):
    path = Path(__file__).parents[2] / "benchmarks" / "release_model.py"
    spec = importlib.util.spec_from_file_location("release_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["release_model.py", *map(str, arguments)])
    module.main()


def test_a_release_has_its_card_its_weights_and_its_entry(tmp_path, monkeypatch):
    training_brains.table(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(training_brains.values(tmp_path, title="Ours", licence="CC0", training_data="brains")))
    trained, network = tmp_path / "trained.safetensors", Generator(GeneratorConfig(2, 1))
    save_checkpoint(trained, network, ModelCard(title="unnamed"))
    others = [{"name": "default", "file": "default.safetensors"}, {"name": "afar", "url": "https://example.org"}]
    (tmp_path / "models.json").write_text(json.dumps({"models": others, "brain_extractors": []}))
    for _ in range(2):  # a second release replaces the first
        _release(monkeypatch, trained, config, "ours", "--folder", tmp_path)
    file = tmp_path / "ours.safetensors"
    released = load_checkpoint(file)
    assert (released.card.title, released.card.licence, released.card.training_data) == ("Ours", "CC0", "brains")
    low, high = released.card.domain.brain_ml
    assert 0 < low <= high
    for old, new in zip(network.parameters(), released.network.parameters(), strict=True):
        assert torch.equal(old.bfloat16().half().float(), new)
    stored = json.loads((tmp_path / "models.json").read_text())
    assert stored["brain_extractors"] == []
    first, entry, last = stored["models"]
    assert [first, last] == others
    assert entry["name"] == "ours" and entry["file"] == file.name and entry["licence"] == "CC0"
    assert entry["sha256"] == released.sha256 and entry["size"] == file.stat().st_size


def test_calibration_moves_the_border_of_the_cortex(tmp_path, monkeypatch):
    training_brains.table(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(training_brains.values(tmp_path)))
    torch.manual_seed(0)
    trained, network = tmp_path / "trained.safetensors", Cascade(CascadeConfig(4, 1, 1)).eval()
    save_checkpoint(trained, network, ModelCard(title="unnamed"))
    (tmp_path / "models.json").write_text('{"models": []}')
    _release(monkeypatch, trained, config, "ours", "--folder", tmp_path, "--cortex-from", "0.2")
    released = load_checkpoint(tmp_path / "ours.safetensors").network
    x = torch.rand(1, 1, 8, 8, 8)
    with torch.no_grad():
        before, after = network(x), released(x)
    border = (before[:, 1] - 0.2).abs() < 0.02  # rounding of the weights
    assert torch.equal((before[:, 1] > 0.2)[~border], (after[:, 1] > 0.5)[~border])
    assert 0 < (after[:, 1] > 0.5).float().mean() < 1
    torch.testing.assert_close(before[:, 0], after[:, 0], rtol=0, atol=4e-3)
