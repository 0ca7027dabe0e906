"""The extractor's weights are listed beside the models, not among them, and load by their checksum."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from SegSRGANLib.models import brain_extractor
from SegSRGANLib.models.brain_extractor import load_brain_extractor
from SegSRGANLib.networks.brain_extractor import BrainExtractor, BrainExtractorConfig
from SegSRGANLib.utils.errors import CheckpointError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from release_brain_extractor import release  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models.json").write_text('{"models": []}')
    monkeypatch.setattr(brain_extractor, "models_folder", lambda: tmp_path)
    load_brain_extractor.cache_clear()
    yield tmp_path
    load_brain_extractor.cache_clear()


def test_released_weights_load_and_damaged_ones_do_not(folder: Path) -> None:
    torch.manual_seed(0)
    network = BrainExtractor(BrainExtractorConfig((4, 6)))
    weights = folder / "trained.safetensors"
    save_file(
        {key: value.half() for key, value in network.state_dict().items()}, weights, {"config": '{"channels": [4, 6]}'}
    )
    with pytest.raises(CheckpointError, match="has no brain extractor"):
        load_brain_extractor(torch.device("cpu"))
    entry = release(weights, folder)
    listed = json.loads((folder / "models.json").read_text())
    assert listed["models"] == []
    assert listed["brain_extractors"] == [entry]
    loaded = load_brain_extractor(torch.device("cpu"))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value.half().float())
    load_brain_extractor.cache_clear()
    (folder / str(entry["file"])).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_brain_extractor(torch.device("cpu"))


def test_something_else_is_not_released(folder: Path) -> None:
    other = folder / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, other)
    with pytest.raises(CheckpointError, match="does not hold a brain extractor"):
        release(other, folder)
    assert "brain_extractors" not in json.loads((folder / "models.json").read_text())
