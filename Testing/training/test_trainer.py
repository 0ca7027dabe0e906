"""The training loop: it learns, resumes exactly, loses nothing, and reports."""

import csv
import json
import math
from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.training_brains import brain, table, values
from torch import nn

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")

from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.training import release as outcome
from SegSRGANLib.training import run_folder as folder_module
from SegSRGANLib.training import step as engine_module
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.data.patch_simulation import simulate_patch
from SegSRGANLib.training.data.splits import DataError
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.training.optimization import (
    ExponentialMovingAverage,
    OptimizerConfig,
    freeze,
    learning_rate,
    output_rates,
)
from SegSRGANLib.training.setup import make_network
from SegSRGANLib.training.step import Engine, make_fabric
from SegSRGANLib.training.trainer import train
from SegSRGANLib.utils.errors import Cancelled, TrainingError


@pytest.fixture
def folder(tmp_path):
    table(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch):
    """Drawing takes longer than training here; one test does it."""
    if request.node.name != "test_pictures_are_drawn":
        monkeypatch.setattr(folder_module, "try_to_draw", lambda *arguments: None)


def _config(folder, **changes):
    return make_config(values(folder, **changes))


def _log(folder):
    with (folder / "run" / "log.csv").open() as stream:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(stream)]


def _weights(path):
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _engine(**changes):
    config = make_config({"output": "run", "csv": "none.csv", "label": 5, "device": "cpu", **changes})
    return Engine(config, make_network(config, None), make_fabric(config))


def _patch(side, config):
    intensity, labels = brain(0, 32)
    subject = Subject("brain", intensity / 100, labels, {"cortex": (5,)}, 0.8)
    simulation = replace(config.simulation, factor=(2.0, 2.0), zoom=(1.0, 1.0), noise=0.0)
    return simulate_patch(subject, simulation, np.random.default_rng(1))


@pytest.mark.slow
def test_training_overfits_one_patch():
    engine = _engine(
        network={"architecture": "cascade", "options": {"filters": 32, "levels": 1, "blocks": 1}},
        optimizer={"batch": 1, "rate": 3e-3, "warmup": 10, "average": 0.9},
        simulation={"patch": 8},
    )
    x, target = _patch(8, engine.config)
    stream = repeat([x[None], target[None]])
    for step in range(400):
        engine.step(stream, step, step / 400)
    with torch.no_grad():
        y = engine.average.network(x[None])[0]

    def decibels(volume):
        return -10 * math.log10((volume - target[0]).square().mean())

    assert decibels(x[0]) < 30
    assert decibels(y[0]) > 45
    assert ((y[1] > 0.5) == (target[1] > 0.5)).float().mean() > 0.99


def test_a_training_leaves_its_files(folder):
    rows, fractions = [], []
    model = train(_config(folder, title="Ours"), lambda f, m: fractions.append(f), None, rows.append)
    run = folder / "run"
    names = {path.name for path in run.iterdir()}
    wanted = {"config.json", "log.csv", "last.safetensors", "best.safetensors", "state.safetensors"}
    assert wanted | {"model.safetensors", "result.json", "report.md"} <= names
    assert not [name for name in names if "partial" in name]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    log = _log(folder)
    assert [row["epoch"] for row in log] == ["1", "2"] and [row["step"] for row in log] == ["2", "4"]
    assert len(rows) == 2 and float(log[1]["psnr"]) == rows[1].psnr and log[0]["critic_loss"] == ""
    loaded = load_checkpoint(model)
    assert loaded.card.title == "Ours" and loaded.card.training_spacing == (0.5, 1.0)
    result = json.loads((run / "result.json").read_text())
    assert result["configuration"]["optimizer"]["batch"] == 2
    merit = max(row.psnr + 10 * row.dice for row in rows)
    assert result["after"]["psnr"] + 10 * result["after"]["dice"] == pytest.approx(merit)


def test_pictures_are_drawn(folder):
    pytest.importorskip("matplotlib", reason="pictures need the extra 'report'")
    train(_config(folder, epochs=1))
    for name in ("curves.png", "examples.png"):
        assert (folder / "run" / name).read_bytes().startswith(b"\x89PNG")


def test_tensorboard_gets_the_curves(folder):
    pytest.importorskip("tensorboard", reason="needs the extra 'train'")
    train(_config(folder, epochs=1, tensorboard=True))
    assert list((folder / "run" / "tensorboard").glob("events*"))


class _StopAfter:
    """Asks to stop at one of the questions."""

    def __init__(self, questions):
        self.left = questions

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("questions", [4, 6, 11])
def test_a_resumed_training_is_the_same_as_an_uninterrupted_one(folder, questions):
    """Stopped in an epoch or in a validation, it goes on exactly: the same curve, the same weights."""
    settings = {"epochs": 3, "patches_per_subject": 3, "optimizer": {"batch": 2, "warmup": 1, "rate": 1e-3}}
    train(_config(folder, **settings))
    whole, curve = _weights(folder / "run" / "last.safetensors"), _log(folder)
    (folder / "run").rename(folder / "whole")
    with pytest.raises(Cancelled):
        train(_config(folder, **settings), should_stop=_StopAfter(questions))
    train(_config(folder, resume=True, **settings))
    assert _log(folder) == curve
    again = _weights(folder / "run" / "last.safetensors")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


@pytest.mark.slow
def test_a_resumed_gan_is_the_same(tmp_path):
    settings = {
        "loss": {"adversarial": 1e-3, "critic_filters": 1, "critic_steps": 1},
        "network": {"architecture": "generator", "options": {"filters": 1, "blocks": 1}},
        "optimizer": {"batch": 1, "warmup": 1},
        "simulation": {"patch": 64},
    }

    def draw(number):
        generator = torch.Generator().manual_seed(number)
        return [torch.rand(1, channels, 64, 64, 64, generator=generator) for channels in (1, 2)]

    whole = _engine(**settings)
    assert whole.draws == 2
    losses = [whole.step(iter([draw(2 * k), draw(2 * k + 1)]), k, 0.0) for k in range(3)]
    from SegSRGANLib.training.state import load_state, save_state

    first = _engine(**settings)
    first.step(iter([draw(0), draw(1)]), 0, 0.0)
    save_state(tmp_path / "state.safetensors", first.parts, {"step": 1})
    second = _engine(seed=5, **settings)
    assert load_state(tmp_path / "state.safetensors", second.parts) == {"step": 1}
    second.config = whole.config
    assert [second.step(iter([draw(2 * k), draw(2 * k + 1)]), k, 0.0) for k in (1, 2)] == losses[1:]
    assert losses[0].critic != 0 and losses[0].critic != losses[2].critic


def test_a_folder_with_a_training_is_not_overwritten(folder):
    train(_config(folder, epochs=1))
    with pytest.raises(ValueError, match="holds a training already; set resume"):
        train(_config(folder, epochs=1))
    with pytest.raises(ValueError, match="begun with another seed, 0"):
        train(_config(folder, seed=1, resume=True))
    train(_config(folder, epochs=2, resume=True))
    assert [row["epoch"] for row in _log(folder)] == ["1", "2"]


def test_a_damaged_state_is_refused(folder):
    train(_config(folder, epochs=1))
    (folder / "run" / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="state.safetensors is not the state of this training"):
        train(_config(folder, epochs=2, resume=True))


def test_nan_stops_and_keeps_the_last_good_checkpoint(folder, monkeypatch):
    calls = []
    content = engine_module.content_loss

    def breaks(prediction, target, config):
        calls.append(0)
        return content(prediction, target, config) * (math.nan if len(calls) == 4 else 1)

    monkeypatch.setattr(engine_module, "content_loss", breaks)
    with pytest.raises(TrainingError, match="became nan at step 4 .* last good checkpoint are kept"):
        train(_config(folder, epochs=3))
    kept = load_checkpoint(folder / "run" / "last.safetensors")  # refuses weights that are not finite
    assert kept.network(torch.rand(1, 1, 8, 8, 8)).isfinite().all()
    assert [row["step"] for row in _log(folder)] == ["2"]


def test_a_full_disk_keeps_the_last_checkpoint(folder, monkeypatch):
    save, calls = outcome.save_checkpoint, []

    def full(path, network, card):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        save(path, network, card)

    monkeypatch.setattr(outcome, "save_checkpoint", full)
    with pytest.raises(TrainingError, match="No space left on device.* last good checkpoint is kept"):
        train(_config(folder, epochs=3))
    assert load_checkpoint(folder / "run" / "last.safetensors").card.title == "cascade"
    monkeypatch.setattr(outcome, "save_checkpoint", save)
    train(_config(folder, epochs=3, resume=True))
    assert [row["step"] for row in _log(folder)] == ["2", "4", "6"]


def test_stopping_early(folder, monkeypatch):
    from SegSRGANLib.training import trainer

    validate = trainer.validate
    monkeypatch.setattr(
        trainer, "validate", lambda *arguments: [replace(score, psnr=20.0, dice=0.5) for score in validate(*arguments)]
    )
    train(_config(folder, epochs=9, validation={"patch": 16, "patience": 2}))
    assert [row["epoch"] for row in _log(folder)] == ["1", "2", "3"]


def test_fine_tuning_starts_from_a_model_and_compares(folder):
    parent = train(_config(folder, epochs=1))
    config = _config(folder, epochs=1, init=str(parent), output=str(folder / "tuned"), network={}, freeze=["stem"])
    tuned = train(config)
    before, after = _weights(parent), _weights(folder / "tuned" / "last.safetensors")
    assert torch.equal(before["stem.weight"], after["stem.weight"])
    assert not torch.equal(before["output.weight"], after["output.weight"])
    card = load_checkpoint(tuned).card
    assert card.parent == f"model {load_checkpoint(parent).sha256}" and "fine-tuned" in card.title
    result = json.loads((folder / "tuned" / "result.json").read_text())
    assert result["before"]["psnr"] == json.loads((folder / "run" / "result.json").read_text())["after"]["psnr"]
    assert "before PSNR" in (folder / "tuned" / "report.md").read_text()
    assert (folder / "tuned" / "log.csv").read_text().splitlines()[1].startswith("0,0,")


def test_fine_tuning_goes_on_with_the_input_of_its_parent(folder):
    parent = train(_config(folder, epochs=1, simulation={"patch": 16, "factor": [2.0, 3.0], "consistent_input": True}))
    assert load_checkpoint(parent).card.consistent_input
    tuned = train(_config(folder, epochs=1, init=str(parent), output=str(folder / "tuned"), network={}))
    assert load_checkpoint(tuned).card.consistent_input
    before, after = (json.loads((folder / run / "result.json").read_text()) for run in ("run", "tuned"))
    assert after["before"]["psnr"] == before["after"]["psnr"]  # examined on the same input


def test_a_worse_fine_tuning_keeps_the_parent(folder):
    parent = train(_config(folder, epochs=1))
    ruin = {"rate": 1.0, "warmup": 1, "batch": 2, "clip": None}
    config = _config(folder, epochs=1, init=str(parent), output=str(folder / "tuned"), network={}, optimizer=ruin)
    tuned = _weights(train(config))
    assert all(torch.equal(value, tuned[key]) for key, value in _weights(parent).items())
    assert "did not improve" in (folder / "tuned" / "report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": {"architecture": "resnet"}}, "Unknown architecture 'resnet'"),
        ({"network": {"architecture": "cascade", "options": {"depth": 3}}}, "Unknown key network.options.depth"),
        ({"simulation": {"patch": 15}}, "patches in multiples of 2 voxels, not 15"),
        ({"simulation": {"patch": 60}}, "measures only 28 voxels .* reduce simulation.patch"),
        ({"simulation": {"patch": 16, "augmentation": {"synthetic": 0.5}}}, "has 3 tissues, too few"),
        ({"freeze": ["encoder"]}, "no part 'encoder' to freeze; the network's parts are"),
        ({"label": 9}, "has no voxel of label 9"),
        ({"init": "nowhere.safetensors"}, "no model file"),
        ({"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_what_cannot_be_trained_is_said_before_it_starts(folder, changes, sentence):
    with pytest.raises((DataError, ValueError), match=sentence):
        train(_config(folder, **changes))
    assert not (folder / "run").exists()


def test_the_critic_needs_a_segmentation():
    with pytest.raises(ValueError, match="this network does not segment"):
        _engine(network={"architecture": "srrecnn", "options": {"layers": 2}}, loss={"adversarial": 0.1})


def test_srrecnn_trains_on_intensity_alone(folder):
    network = {"architecture": "srrecnn", "options": {"layers": 3, "filters": 4}}
    train(_config(folder, epochs=1, network=network, loss={"intensity": "l2"}))
    assert _log(folder)[0]["dice"] == "" and float(_log(folder)[0]["psnr"]) > 0


def test_the_learning_rate_warms_up_and_falls():
    config = OptimizerConfig(rate=1.0, warmup=10, floor=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 500, 0.5) == pytest.approx(0.55)
    assert learning_rate(config, 500, 1.0) == pytest.approx(0.1)
    assert learning_rate(replace(config, schedule="constant"), 500, 1.0) == 1.0


def test_the_average_forgets_at_its_rate():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average, expected = ExponentialMovingAverage(network, 0.5), 0.0
    for step in range(1, 6):
        nn.init.constant_(network.weight, float(step))
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.network.weight.item() == pytest.approx(expected)


def test_freezing_everything_is_refused():
    network = Cascade(CascadeConfig(4, 1, 1))
    with pytest.raises(ValueError, match="Everything is frozen"):
        freeze(network, ["stem", "blocks", "output", "segmentation"])


def test_the_last_filters_have_their_own_rates():
    engine = _engine(
        network={"architecture": "generator", "options": {"filters": 4, "blocks": 1}},
        optimizer={"batch": 1, "rate": 1e-2, "warmup": 0, "output_rate": [0.01, 0.5], "clip": None},
        simulation={"patch": 8},
    )
    before = {key: value.clone() for key, value in engine.network.state_dict().items()}
    x, target = _patch(8, engine.config)
    engine.step(repeat([x[None], target[None]]), 0, 0.0)
    moved = {key: (value - before[key]).abs() for key, value in engine.network.state_dict().items()}
    # the first step of Adam moves every weight by its rate
    assert moved["conv1.weight"].max().item() == pytest.approx(1e-2, rel=1e-2)
    assert moved["output.weight"][0].max().item() == pytest.approx(1e-4, rel=1e-2)
    assert moved["output.weight"][1].max().item() == pytest.approx(5e-3, rel=1e-2)


def test_intensities_from_normalized_features_learn_calmly():
    config = OptimizerConfig()
    given = replace(config, output_rate=(0.5, 0.5))
    assert output_rates(Generator(GeneratorConfig(1, 1)), config) == (0.004, 1.0)
    assert output_rates(Generator(GeneratorConfig(1, 1)), given) == (0.5, 0.5)
    assert output_rates(Cascade(CascadeConfig(4, 1, 1)), config) == (1.0, 1.0)
    with pytest.raises(ValueError, match="leave out optimizer.output_rate"):
        output_rates(Cascade(CascadeConfig(4, 1, 1)), given)


def test_mixed_precision_ends_in_full_precision():
    engine = _engine(
        network={"architecture": "generator", "options": {"filters": 4, "blocks": 1}},
        optimizer={"batch": 1, "precision": "bf16", "full_precision_from": 0.5},
        simulation={"patch": 8},
    )
    seen = []
    engine.network.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    x, target = _patch(8, engine.config)
    for done in (0.0, 0.6):
        engine.step(repeat([x[None], target[None]]), 1, done)
    assert seen == [torch.bfloat16, torch.float32]


def test_mixed_precision_leaves_the_input_as_it_is():
    """The residual is added to the measured intensities, not to rounded ones."""
    engine = _engine(
        network={"architecture": "cascade", "options": {"filters": 4, "levels": 1, "blocks": 1}},
        optimizer={"batch": 1, "precision": "bf16"},
        simulation={"patch": 8},
    )
    nn.init.zeros_(engine.network.output.weight)
    x = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(engine._forward(x)[:, :1], x)


def test_a_generator_starts_as_interpolation():
    engine = _engine(network={"architecture": "generator", "options": {"filters": 4, "blocks": 1}})
    x = torch.rand(1, 1, 8, 8, 8)
    assert (engine.network(x)[:, :1] - x).abs().max() < 0.2
    assert isinstance(engine.network, Generator) and engine.network.config == GeneratorConfig(4, 1)
