"""The training loop: epochs of steps, validated, logged and saved so that nothing is lost."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..transforms.normalization import Normalization
from ..utils.errors import Cancelled
from ..utils.memory import kept_heap
from ..utils.progress import Progress, ShouldStop, scaled
from .config import TrainingConfig
from .data.dataloader import PatchDataset, batches, choose_workers
from .data.device_stream import device_batches, objections
from .history import MEASURES, Row, TensorBoardLog
from .release import make_card
from .run_folder import TrainingFolder, refuse_to_overwrite
from .setup import load_critic, load_data, load_parent, make_network, mask_target, with_architecture, with_critic
from .step import Engine, make_fabric
from .validation import Scores, mean_scores, validate

logger = logging.getLogger(__name__)

_SAVE_SECONDS = 300.0  # between two states inside a long epoch
_DATA_SHARE = 0.02  # of the progress bar, for reading the volumes

OnEpoch = Callable[[Row], None]


@kept_heap()
def train(
    config: TrainingConfig,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    on_epoch: OnEpoch | None = None,
) -> Path:
    """Train or fine-tune a network.

    Writes into `config.output`: config.json, log.csv, last.safetensors, best.safetensors, state.safetensors (to
    resume), curves.png, examples.png, and at the end model.safetensors (the one to use), result.json and report.md.

    Args:
        config: everything that the training depends on.
        progress: called with (fraction, message).
        should_stop: asked after each step; then everything is saved and `Cancelled` raised.
        on_epoch: called with each row of the log.

    Returns:
        The file model.safetensors.

    Raises:
        ValueError: configuration or data that cannot be used, before the training starts.
        TrainingError: the training cannot go on; the last good checkpoint is kept.
        Cancelled: should_stop said so; `resume` goes on from there.
    """
    if config.compute.threads is not None:
        torch.set_num_threads(config.compute.threads)
    fabric = make_fabric(config)
    leads = bool(fabric.is_global_zero)
    run = _Run(config, fabric, progress if leads else None, should_stop, on_epoch if leads else None)
    return run.run()


class _Run:
    def __init__(
        self,
        config: TrainingConfig,
        fabric: Any,
        progress: Progress | None,
        should_stop: ShouldStop | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        self._fabric, self._leads = fabric, bool(fabric.is_global_zero)
        self._report, self._should_stop, self._on_epoch = scaled(progress, 0, 1), should_stop, on_epoch
        refuse_to_overwrite(config)
        parent, critic = load_parent(config), load_critic(config)
        self._config = config = with_critic(with_architecture(config, parent), critic)
        network = make_network(config, parent)
        normalization = Normalization() if parent is None else parent.card.normalization
        reading = scaled(self._report, 0, _DATA_SHARE)
        mask = mask_target(config, network)
        self._subjects, self._validation_cases = load_data(config, normalization, reading, should_stop, mask)
        self._engine = Engine(config, network, fabric, critic)
        self._folder = TrainingFolder(config, make_card(config, self._subjects, parent))
        self._state = self._folder.start(self._engine)
        self._steps = math.ceil(config.patches_per_subject * len(self._subjects) / config.optimizer.batch)
        self._began = time.monotonic() - self._state.elapsed
        self._saved_at = time.monotonic()
        self._board = None

    def run(self) -> Path:
        """All epochs, then the files for the user."""
        if self._leads:
            self._folder.write_config()
            if self._config.tensorboard:
                self._board = TensorBoardLog(self._folder.path / "tensorboard")
        try:
            if self._config.init is not None and not self._state.rows:
                self._finish_epoch(0)  # the model as it comes, to compare with
            self._train()
        finally:
            if self._board is not None:
                self._board.close()
        if self._leads:
            self._folder.conclude(self._state)
        self._report(1.0, "Finished the training")
        return self._folder.path / "model.safetensors"

    def _train(self) -> None:
        state, stream = self._state, self._stream()
        if state.steps and state.step % self._steps == 0:
            self._finish_epoch(state.step // self._steps)  # stopped in the middle of its validation
        while not self._is_over():
            losses = self._engine.step(stream, state.step, self._done())
            state.step, state.steps = state.step + 1, state.steps + 1
            state.loss, state.critic = state.loss + losses.generator, state.critic + losses.critic
            stop = self._synchronize()
            if not stop and (state.step % self._steps == 0 or self._is_over()):
                self._finish_epoch(math.ceil(state.step / self._steps))
            self._show_progress(state.rows[-1].line() if state.rows else f"Step {state.step} of {self._steps}")
            if stop:
                self._save()
                raise Cancelled("Stopped on request; the training can be resumed.")
            if time.monotonic() - self._saved_at > _SAVE_SECONDS:
                self._save()

    def _stream(self) -> Any:
        config, fabric = self._config, self._fabric
        given = self._subjects, config.simulation, config.slice_thickness
        if self._simulates_on_device():
            own = config.optimizer.batch // fabric.world_size
            seed, numbers = (config.seed, fabric.global_rank), (self._state.step * self._engine.draws, own)
            return device_batches(*given, seed, numbers, fabric.device)
        dataset = PatchDataset(*given, config.seed, self._engine.tells_spacing)
        workers = choose_workers(fabric.device, config.compute.workers)
        share = (fabric.global_rank, fabric.world_size)
        return batches(dataset, self._state.step * self._engine.draws, config.optimizer.batch, workers, share)

    def _simulates_on_device(self) -> bool:
        """Whether patches are simulated where the network is.

        Raises:
            ValueError: it was asked for, and cannot be.
        """
        config, device = self._config, self._fabric.device
        wanted = config.compute.simulation
        if wanted == "cpu" or (wanted == "auto" and device.type != "cuda"):
            return False
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        against = objections(self._subjects, config.simulation, config.slice_thickness, free)
        if self._engine.tells_spacing:
            against.append("the critic is told the slice spacing of each patch")
        if against and wanted == "device":
            raise ValueError(f"Patches cannot be simulated on the device: {'; '.join(against)}.")
        reason = f"on the CPU: {'; '.join(against)}" if against else f"on {device}"
        logger.info("Patches are simulated %s", reason)
        return not against

    def _done(self) -> float:
        if self._config.hours is not None:
            return min(1.0, self._state.elapsed / (3600 * self._config.hours))
        return min(1.0, self._state.step / (self._config.epochs * self._steps))

    def _is_over(self) -> bool:
        patience = self._config.validation.patience
        return self._done() >= 1 or (patience is not None and self._state.stale >= patience)

    def _show_progress(self, message: str) -> None:
        self._report(_DATA_SHARE + (1 - _DATA_SHARE) * self._done(), message)

    def _synchronize(self) -> bool:
        """Share the first process's clock and its wish to stop, which all must follow in the same step."""
        elapsed = time.monotonic() - self._began
        stop = self._should_stop is not None and self._should_stop()
        if self._fabric.world_size > 1:
            elapsed, stop = self._fabric.broadcast((elapsed, stop), src=0)
        self._state.elapsed = elapsed
        return stop

    def _finish_epoch(self, epoch: int) -> None:
        state, validates = self._state, epoch % self._config.validation.every == 0 or self._done() >= 1
        row = Row(epoch, state.step, seconds=round(time.monotonic() - self._began, 1))
        if state.steps:
            critic = state.critic / state.steps if self._engine.critic is not None else None
            row = replace(row, loss=self._mean(state.loss / state.steps), critic_loss=critic)
        scores = self._examine() if self._leads and validates else None
        state.loss, state.critic, state.steps = 0.0, 0.0, 0
        if self._leads:
            self._record(row, scores)
        state.stale = self._fabric.broadcast(state.stale, src=0)

    def _record(self, row: Row, scores: list[Scores] | None) -> None:
        state = self._state
        if scores is not None:
            mean = mean_scores(scores)
            row = replace(row, **{key: getattr(mean, key) for key in MEASURES})
            state.stale = 0 if mean.selection_score > state.best else state.stale + 1
            if state.stale == 0:
                state.best, state.best_scores = mean.selection_score, scores
            if row.epoch == 0:
                state.before = scores
        state.rows.append(row)
        self._folder.save_epoch(self._engine, state, scores, self._validation_cases[0])
        self._saved_at = time.monotonic()
        logger.info(row.line())
        if self._board is not None:
            self._board.add(row)
        if self._on_epoch is not None:
            self._on_epoch(row)

    def _mean(self, value: float) -> float:
        """Over the processes."""
        return float(self._fabric.all_reduce(torch.tensor(value), reduce_op="mean"))

    def _examine(self) -> list[Scores]:
        """Scores of the averaged network; several processes stop after it, together."""
        asked = self._should_stop if self._fabric.world_size == 1 else None
        try:
            return validate(
                self._engine.average.network,
                self._validation_cases,
                self._config.validation,
                lambda fraction, message: self._show_progress(f"Validation: {message}"),
                asked,
            )
        except Cancelled:
            self._save()
            raise

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._leads:
            self._folder.save(self._engine, self._state)
