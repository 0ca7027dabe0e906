"""`segsrgan train` with patches that are simulated on the device of the network, forced on the CPU."""

from __future__ import annotations

import csv

import pytest
import torch
from safetensors.torch import load_file
from support.training_brains import table, values

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")

from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.training import run_folder as folder_module
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.trainer import train
from SegSRGANLib.utils.errors import Cancelled


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Brains to train on; drawing takes longer than training here."""
    monkeypatch.setattr(folder_module, "try_to_draw", lambda *arguments: None)
    table(tmp_path)
    return tmp_path


def _config(folder, **changes):
    return make_config(values(folder, **changes))


def _log(path):
    with path.open() as stream:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(stream)]


@pytest.mark.parametrize("classes", [None, {"cortex": [5], "white matter": [1]}])
def test_training_on_patches_of_the_device(folder, caplog, classes):
    """The way of a GPU, forced on the CPU: it trains, and a stopped run goes on with the patches that it would have."""
    changes = {"compute": {"workers": 0, "threads": 1, "simulation": "device"}}
    if classes:
        changes |= {"classes": classes, "label": None}
    with caplog.at_level("INFO"):
        path = train(_config(folder, **changes))
    assert "Patches are simulated on cpu" in caplog.text
    assert len(load_checkpoint(path).classes) == (len(classes) if classes else 1)
    whole, weights = _log(folder / "run" / "log.csv"), load_file(folder / "run" / "last.safetensors")
    again = {**changes, "output": str(folder / "again")}
    with pytest.raises(Cancelled):
        train(_config(folder, **again), should_stop=iter([False, True]).__next__)
    train(_config(folder, **again, resume=True))
    assert _log(folder / "again" / "log.csv") == whole
    torch.testing.assert_close(load_file(folder / "again" / "last.safetensors"), weights)


def test_a_device_that_cannot_simulate_is_named(folder):
    simulation = {"patch": 16, "factor": [2.0, 3.0], "mask_overlap": 0.5}
    config = _config(folder, simulation=simulation, compute={"threads": 1, "simulation": "device"})
    with pytest.raises(ValueError, match=r"cannot be simulated on the device: simulation.mask_overlap"):
        train(config)
    with pytest.raises(ValueError, match="compute.simulation is one of auto, device, cpu"):
        _config(folder, compute={"simulation": "gpu"})
