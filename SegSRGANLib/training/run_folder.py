"""The output folder of a training: every file in it is whole at any time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError

from ..models.card import ModelCard
from ..models.checkpoint import load_checkpoint
from ..utils.atomic_files import atomic_path, sweep_partial
from ..utils.errors import TrainingError
from .config import TrainingConfig
from .config_parsing import build
from .history import Row, write_log
from .pictures import draw_curves, draw_example
from .release import save_model, try_to_draw, write_report, write_result
from .setup import check_same_training
from .state import load_state, save_state
from .step import Engine
from .validation import Scores, ValidationCase, mean_scores, predict_case


@dataclass
class TrainerState:
    """Where a training stands: all that is not a weight.

    step: steps done. elapsed: seconds. loss, critic: sums over the `steps` of the epoch so far. best: selection score
    of the best model. stale: validations since then. before: scores of the model that it started from.
    """

    step: int = 0
    elapsed: float = 0.0
    loss: float = 0.0
    critic: float = 0.0
    steps: int = 0
    best: float = -math.inf
    stale: int = 0
    rows: list[Row] = field(default_factory=list)
    before: list[Scores] | None = None
    best_scores: list[Scores] | None = None


_STATE = "state.safetensors"


def refuse_to_overwrite(config: TrainingConfig) -> None:
    """Raise ValueError when the folder holds a training that is not to be resumed."""
    if not config.resume and (Path(config.output) / _STATE).is_file():
        raise ValueError(f"{config.output} holds a training already; set resume, or choose another folder.")


class TrainingFolder:
    """Writes and reads the files of one training."""

    def __init__(self, config: TrainingConfig, card: ModelCard) -> None:
        self.path, self._config, self._card = Path(config.output), config, card
        self._state = self.path / _STATE

    def start(self, engine: Engine) -> TrainerState:
        """Where to begin: nothing done yet, or what the state file says.

        Raises:
            ValueError: the state is damaged, or of another training.
        """
        if not self._state.is_file():
            return TrainerState()
        stored = load_state(self._state, engine.parts)
        check_same_training(stored.pop("config"), self._config)
        for key in ("before", "best_scores"):
            stored[key] = None if stored[key] is None else [build(Scores, values) for values in stored[key]]
        stored["rows"] = [build(Row, values) for values in stored["rows"]]
        best = stored.pop("best")
        return TrainerState(**stored, best=-math.inf if best is None else best)

    def write_config(self) -> None:
        """Write config.json, which `segsrgan train` takes as well; what killed trainings left half-written goes."""
        sweep_partial(self.path)
        with atomic_path(self.path / "config.json") as temporary:
            temporary.write_text(self._config.to_json(), encoding="utf-8")

    def save(self, engine: Engine, state: TrainerState) -> None:
        """Write last.safetensors and the state.

        Raises:
            TrainingError: weights that are not finite, or a full disk; the files of before are kept.
        """
        if not all(bool(torch.isfinite(p).all()) for p in engine.network.parameters()):
            raise TrainingError("The weights are not finite any more; the last good checkpoint is kept.")
        save_model(self.path / "last.safetensors", engine.average.network, self._card)
        best = state.best if math.isfinite(state.best) else None
        stored = {**asdict(state), "best": best, "config": asdict(self._config)}
        try:
            save_state(self._state, engine.parts, stored)
        except (SafetensorError, OSError, ValueError) as error:
            raise TrainingError(f"{self._state.name} could not be saved ({error}); the one before is kept.") from error

    def save_epoch(
        self, engine: Engine, state: TrainerState, scores: list[Scores] | None, case: ValidationCase
    ) -> None:
        """Write what an epoch gives; the state last, so that it never runs ahead of the others.

        Args:
            engine: with the networks.
            state: the epoch's row is the last.
            scores: of the validation, if there was one; new best ones when `state.stale` is 0.
            case: the test volume to draw.
        """
        network, epoch = engine.average.network, state.rows[-1].epoch
        if scores is not None and state.stale == 0:
            save_model(self.path / "best.safetensors", network, self._card)
        keep = self._config.keep_every
        if keep is not None and epoch > 0 and epoch % keep == 0:
            save_model(self.path / f"epoch-{epoch}.safetensors", network, self._card)
        write_log(self.path / "log.csv", state.rows)
        try_to_draw(draw_curves, self.path / "curves.png", state.rows)
        if scores is not None:
            predicted = predict_case(network, case, self._config.validation)
            try_to_draw(draw_example, self.path / "examples.png", case, predicted)
        self.save(engine, state)

    def conclude(self, state: TrainerState) -> Path:
        """Write model.safetensors, the best model, with its report and record."""
        best = load_checkpoint(self.path / "best.safetensors")
        scores = state.best_scores or []
        target = self.path / "model.safetensors"
        save_model(target, best.network, self._card)
        write_report(self.path / "report.md", state.before, scores)
        figures = {
            "hours": round(state.elapsed / 3600, 4),
            "steps": state.step,
            "before": None if state.before is None else asdict(mean_scores(state.before)),
            "after": asdict(mean_scores(scores)),
            "subjects": [asdict(score) for score in scores],
        }
        write_result(self.path, self._config, self._card, figures)
        return target
