"""The loop of a timed training: stages by the clock, a line every ten seconds, files that a later run goes on from."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from ...models.card import ModelCard
from ...models.checkpoint import save_checkpoint
from .recipes import CLASSES, Stage
from .trainer import TimedTraining

logger = logging.getLogger(__name__)

_SAY_SECONDS, _JUDGE_SECONDS, _SAVE_SECONDS = 10.0, 30.0, 120.0
_LATE = 1000.0  # steps after which the moments need no correction of their bias
_SHARD = 15 << 20  # bytes of a file of the optimizer's state, so that it passes where files are limited


def run(training: TimedTraining, name: str, seconds: float, out: Path, most_steps: int | None = None) -> None:
    """Train until the time is over or enough steps are done.

    Args:
        training: what to train. name: of its files. seconds: for everything, the preparation of patches too.
        out: folder for NAME.safetensors (averaged weights, half precision) and NAME-content.safetensors, the weights
            before a stage with a critic. most_steps: then stop; None goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    clock = _Clock(seconds, most_steps)
    held_out = training.held_out_patches(3, 4)
    current, simulator, losses = -1, None, []
    while (done := clock.done(training.step)) < 1:
        index = next(k for k, stage in enumerate(training.recipe.stages) if done < stage.end)
        stage = training.recipe.stages[index]
        if index != current:
            if stage.adversarial and index:
                save(training, out / f"{name}-content.safetensors")
                _say(name, {"before the critic": training.judge(held_out)})
            current, simulator = index, training.simulator(stage)
            _say(name, {"stage": index, "prepared_s": round(clock.elapsed, 1)})
        losses.append(training.update(simulator, stage, done))  # ty: ignore[invalid-argument-type]
        if clock.due("say", _SAY_SECONDS):
            facts = {"loss": round(float(torch.stack(losses).mean()), 4)}  # waits for the device
            rate = len(losses) / clock.since("said")
            facts |= {
                "s": round(clock.elapsed, 1),
                "step": training.step,
                "patches_per_s": round(rate * stage.batch, 1),
            }
            if clock.due("judge", _JUDGE_SECONDS):
                facts |= training.judge(held_out)
            _say(name, facts)
            losses = []
        if clock.due("save", _SAVE_SECONDS):
            save(training, out / f"{name}.safetensors")
    save(training, out / f"{name}.safetensors")
    _say(name, {"finished_s": round(clock.elapsed, 1), "steps": training.step, **training.judge(held_out)})


class _Clock:
    def __init__(self, seconds: float, most_steps: int | None) -> None:
        self._start, self._seconds, self._most_steps = time.monotonic(), seconds, most_steps
        self._last: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def done(self, step: int) -> float:
        by_steps = 0.0 if self._most_steps is None else step / self._most_steps
        return max(self.elapsed / self._seconds, by_steps)

    def due(self, what: str, period: float) -> bool:
        if self.elapsed - self._last.get(what, 0.0) < period:
            return False
        self._last[what] = self.elapsed
        return True

    def since(self, what: str) -> float:
        """Seconds since the last call of this."""
        last = self._last.get(what, 0.0)
        self._last[what] = self.elapsed
        return max(self._last[what] - last, 1e-9)


def measure(training: TimedTraining, stage: Stage, steps: int = 5) -> dict[str, float]:
    """Seconds of a step and of its simulated batch alone, patches a second, and peak memory of a GPU in GiB."""
    simulator = training.simulator(stage)

    def clock() -> float:
        if training.device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()

    for _ in range(3):
        training.update(simulator, stage, 0.0)
    warm = clock()
    for _ in range(steps):
        training.update(simulator, stage, 0.0)
    stepped = clock()
    for _ in range(steps):
        simulator.batch(stage.batch)
    step, simulation = (stepped - warm) / steps, (clock() - stepped) / steps
    facts = {"step_s": step, "simulation_s": simulation, "patches_per_s": stage.batch / step}
    if training.device.type == "cuda":
        facts["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return {key: round(value, 4) for key, value in facts.items()}


def save(training: TimedTraining, path: Path) -> None:
    """The averaged weights in half precision, as a model file whose card names the classes."""
    names = tuple(CLASSES)[: max(1, training.recipe.classes)]
    card = ModelCard(
        title=path.stem,
        description=f"{training.step} steps on one device",
        consistent_input=training.recipe.consistent_input,
        classes=names,
    )
    save_checkpoint(path, training.average, card, half=True)


def save_state(training: TimedTraining, folder: Path, name: str) -> None:
    """Weights and moments in bfloat16, in files of at most 15 MiB: NAME-state-K.safetensors.

    Those of the critic are among them where the recipe has one. A tensor that is larger than a file is cut in pieces.
    """
    shards: list[dict[str, torch.Tensor]] = [{}]
    size, most = 0, _SHARD // 2  # values of two bytes
    for key, value in _state(training).items():
        flat = value.detach().flatten().to("cpu", torch.bfloat16)
        for number, piece in enumerate(flat.split(most)):
            if shards[-1] and size + piece.numel() > most:
                shards.append({})
                size = 0
            shards[-1][f"{key}#{number}"] = piece.contiguous()
            size += piece.numel()
    for number, shard in enumerate(shards):  # not save_file, which makes files that only their owner may read
        (folder / f"{name}-state-{number}.safetensors").write_bytes(save_tensors(shard))


def load_state(training: TimedTraining, folder: Path, name: str) -> None:
    """Go on from what `save_state` wrote.

    Raises:
        ValueError: no such files, or those of another network.
    """
    files = sorted(folder.glob(f"{name}-state-*.safetensors"))
    if not files:
        raise ValueError(f"There is no state of {name} in {folder}.")
    stored = _joined([load_file(file) for file in files])
    for part, optimizer in (("network", training.optimizer), ("critic", training.critic_optimizer)):
        if any(key.startswith(part) and key.endswith(".exp_avg") for key in stored):
            _begin(optimizer)
    expected = _state(training)
    if expected.keys() != stored.keys():
        raise ValueError(f"The state of {name} in {folder} belongs to another network.")
    with torch.no_grad():
        for key, value in expected.items():
            value.copy_(stored[key].view_as(value))
        for own, new in zip(training.average.parameters(), training.network.parameters(), strict=True):
            own.copy_(new)


def _joined(shards: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The flattened tensors of all files, their pieces put together."""
    pieces: dict[str, dict[int, torch.Tensor]] = {}
    for name, piece in ((name, piece) for shard in shards for name, piece in shard.items()):
        key, _, number = name.rpartition("#")
        pieces.setdefault(key, {})[int(number)] = piece
    return {key: torch.cat([parts[number] for number in sorted(parts)]) for key, parts in pieces.items()}


def _begin(optimizer: torch.optim.Adam) -> None:
    """Give an optimizer that made no step yet the moments to be filled, past the steps in which they are corrected."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            step = torch.tensor(_LATE, device=parameter.device if group["fused"] else "cpu")
            moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
            optimizer.state.setdefault(parameter, {"step": step, **moments})


def _state(training: TimedTraining) -> dict[str, torch.Tensor]:
    """The tensors themselves, by name."""
    state: dict[str, torch.Tensor] = {}
    pairs = (("network", training.network, training.optimizer), ("critic", training.critic, training.critic_optimizer))
    adversarial = any(stage.adversarial for stage in training.recipe.stages)
    for part, network, optimizer in pairs if adversarial else pairs[:1]:
        for key, parameter in network.named_parameters():
            state[f"{part}.{key}"] = parameter.data
            moments: dict[str, Any] = optimizer.state.get(parameter, {})
            state |= {f"{part}.{key}.{name}": moments[name] for name in ("exp_avg", "exp_avg_sq") if name in moments}
    return state


def _say(name: str, facts: dict[str, Any]) -> None:
    logger.info("%s %s", name, json.dumps(facts))
