"""Timed trainings on a tiny pack."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.training.data.device_simulation import PatchBatch
from SegSRGANLib.training.data.device_volumes import to_device
from SegSRGANLib.training.data.volume_pack import PackedVolume, write_pack
from SegSRGANLib.training.losses import charbonnier
from SegSRGANLib.training.timed import loop
from SegSRGANLib.training.timed.loop import load_state, run, save_state
from SegSRGANLib.training.timed.losses import weighted_content_loss
from SegSRGANLib.training.timed.recipes import CLASSES, RECIPES, Stage
from SegSRGANLib.training.timed.trainer import TimedTraining

ROOT = Path(__file__).parents[3]
TRIAL = RECIPES["trial"]


def packed(held_out: bool = False) -> PackedVolume:
    z, y, x = np.mgrid[-20:20, -18:22, -19:17]
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.select([radius < 9, radius < 12, radius < 14], [1, 5, 4], 0).astype(np.uint8)
    intensity = np.array([0, 0.6, 0, 0, 0.9, 0.35])[labels].astype(np.float32)
    return PackedVolume("held" if held_out else "own", intensity, labels, 0.8, 1.0, False, held_out)


def training(seed: int = 0, **changes: object) -> TimedTraining:
    volumes = [to_device(packed(held), list(CLASSES.values()), torch.device("cpu")) for held in (False, True)]
    return TimedTraining(replace(TRIAL, **changes), (volumes[:1], volumes[1:]), torch.device("cpu"), seed)


def test_a_few_steps_lower_the_loss_and_leave_a_model(tmp_path: Path) -> None:
    trainer = training(rate=3e-3)
    simulator = trainer.simulator(TRIAL.stages[0])
    losses = [float(trainer.update(simulator, TRIAL.stages[0], 0.0)) for _ in range(16)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    run(trainer, "trial", 600.0, tmp_path, most_steps=18)
    model = load_checkpoint(tmp_path / "trial.safetensors")
    assert model.classes == tuple(CLASSES) and model.card.consistent_input
    for own, kept in zip(trainer.average.parameters(), model.network.parameters(), strict=True):
        torch.testing.assert_close(own.half().float(), kept)


def test_a_training_goes_on_from_its_state(tmp_path: Path) -> None:
    first, second = training(), training(seed=1)
    simulator = first.simulator(TRIAL.stages[0])
    for _ in range(2):
        first.update(simulator, TRIAL.stages[0], 0.0)
    save_state(first, tmp_path, "trial")
    load_state(second, tmp_path, "trial")
    for own, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(own.bfloat16().float(), other)
    moments = [
        optimizer.state[next(iter(optimizer.state))]["exp_avg"] for optimizer in (first.optimizer, second.optimizer)
    ]
    torch.testing.assert_close(moments[0].bfloat16().float(), moments[1])
    second.update(second.simulator(TRIAL.stages[0]), TRIAL.stages[0], 0.5)
    with pytest.raises(ValueError, match="There is no state of other"):
        load_state(second, tmp_path, "other")


def test_no_file_of_a_state_is_larger_than_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SHARD", 4096)
    first, second = training(), training(seed=1)
    first.update(first.simulator(TRIAL.stages[0]), TRIAL.stages[0], 0.0)
    save_state(first, tmp_path, "trial")
    files = list(tmp_path.glob("trial-state-*.safetensors"))
    assert len(files) > 2 and max(file.stat().st_size for file in files) < 4096 + 4096  # and the names
    load_state(second, tmp_path, "trial")
    for own, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(own.bfloat16().float(), other)


def test_a_step_that_is_not_finite_is_left_out() -> None:
    trainer = training()
    before = [p.detach().clone() for p in trainer.network.parameters()]
    for parameter in trainer.network.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    trainer._guarded_step(trainer.network, trainer.optimizer)
    for old, new in zip(before, trainer.network.parameters(), strict=True):
        torch.testing.assert_close(old, new)


def test_without_weights_the_intensity_loss_is_the_charbonnier_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.rand(2, 1, 4, 4, 4, generator=generator) for _ in range(2))
    batch = PatchBatch(prediction, target, torch.ones(2, 2, 4, 4, 4))
    expected = TRIAL.intensity_weight * (charbonnier(prediction, target, TRIAL.nu) - TRIAL.nu)
    torch.testing.assert_close(weighted_content_loss(prediction, batch, TRIAL), expected)


def test_voxels_without_weight_do_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.rand(1, 8, 4, 4, 4, generator=generator) for _ in range(2))
    weight = torch.ones(1, 2, 4, 4, 4)
    weight[..., 2:] = 0
    changed = target.clone()
    changed[..., 2:] = 0.5
    losses = [weighted_content_loss(prediction, PatchBatch(prediction, t, weight), TRIAL) for t in (target, changed)]
    torch.testing.assert_close(*losses)


def test_the_critic_trains_with_its_generator() -> None:
    stage = Stage(1.0, 64, 1, mixed=False, adversarial=1e-3)
    simulation = {**TRIAL.simulation, "factor": (1.5, 2.0), "usual_factor": (1.5, 2.0)}
    trainer = training(stages=(stage,), critic_steps=1, simulation=simulation)
    before = [p.detach().clone() for p in trainer.critic.parameters()]
    loss = trainer.update(trainer.simulator(stage), stage, 0.0)
    assert torch.isfinite(loss)
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.critic.parameters(), strict=True))


def test_the_core_needs_no_simpleitk() -> None:
    code = "import sys; sys.modules['SimpleITK'] = None; import SegSRGANLib.training.timed.__main__"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.slow
def test_the_prepared_script_runs_on_a_cpu(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack.zip", [packed(), packed(held_out=True)])
    script = [str(ROOT / "benchmarks" / "gpu_training.sh"), str(tmp_path / "pack.zip"), str(tmp_path / "out")]
    environment = {**os.environ, "TRIAL": "20", "DEVICE": "cpu", "PYTHON": sys.executable}
    done = subprocess.run(["bash", *script], env=environment, capture_output=True, text=True, check=True)
    assert '"steps": 20' in done.stdout, done.stdout
    assert load_checkpoint(tmp_path / "out" / "trial.safetensors").classes == tuple(CLASSES)
