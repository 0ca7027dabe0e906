"""The training loop of the brain extractor: so many seconds on any device, ready to stop at any time."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from ...inference.forms.bfloat16_speed import bfloat16_pays
from ...networks.brain_extractor import BrainExtractor, scaled_input
from .heads import HeadOptions, Pack, SyntheticHeads
from .replay import ReplayedHeads

_log = logging.getLogger(__name__)
_WARM_UP = 0.05  # share of the time in which the learning rate rises
_MEASURED = 0.2  # share of the time in which moments are those of the batch; then they are fixed, as in prediction
_SAVE_EVERY = 30.0  # seconds
_LOG_EVERY = 5.0  # seconds
_LEAST_BRAIN = 180.0  # voxels (about 5 mL): scans with less brain count in the cross entropy alone
FILE_NAME = "brain-extractor.safetensors"


@dataclass(frozen=True)
class TrainingOptions:
    """How the extractor is trained.

    seconds: time for all of it, the last validation too. steps: at most so many, None for as many as fit. batch: scans
    a step. fresh: of them made anew, None for all; the others were seen before. learning_rate: the highest. decay: of
    the averaged weights. validation_batches: batches of 4 held-out heads.
    """

    seconds: float = 90.0
    steps: int | None = None
    batch: int = 8
    fresh: int | None = None
    learning_rate: float = 3e-3
    decay: float = 0.99
    validation_batches: int = 8
    seed: int = 0


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy plus 1 - Dice of each scan that shows some brain: (N, 1, D, H, W) float32 -> scalar."""
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    probability, axes = torch.sigmoid(logits), (1, 2, 3, 4)
    sizes = target.sum(axes)
    dice = 2 * (probability * target).sum(axes) / ((probability**2).sum(axes) + (target**2).sum(axes) + 1.0)
    counted = (sizes > _LEAST_BRAIN).float()
    return entropy + ((1 - dice) * counted).sum() / counted.sum().clamp_min(1.0)


class Trainer:
    """A network, its running average and its optimizer on one device."""

    def __init__(self, device: torch.device, options: TrainingOptions, initial: Path | None = None) -> None:
        torch.manual_seed(options.seed)
        self.device, self.options = device, options
        self.mixed = bfloat16_pays(device)
        self.network = BrainExtractor().to(  # ty: ignore[no-matching-overload]
            device, memory_format=torch.channels_last_3d
        )
        if initial is not None:
            self.network.load_state_dict({k: v.float() for k, v in load_file(initial, device=str(device)).items()})
        self.average = {key: value.detach().clone() for key, value in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), options.learning_rate, weight_decay=1e-4)
        self.steps = 0

    def step(self, image: torch.Tensor, target: torch.Tensor, done: float) -> torch.Tensor:
        """One step when this share of the time is over; gives the loss, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * _schedule(done)
        self.network.train(done < _MEASURED)
        image = scaled_input(image).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = self.network(image)
        loss = segmentation_loss(logits.float(), target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        self._update_average()
        return loss.detach()

    def _update_average(self) -> None:
        decay = min(self.options.decay, (1 + self.steps) / (10 + self.steps))
        current = self.network.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [current[key] for key in self.average], 1 - decay)

    def averaged(self) -> BrainExtractor:
        """A network with the averaged weights, ready to predict."""
        network = BrainExtractor(self.network.config).to(self.device)
        network.load_state_dict(self.average)
        return network.eval()

    def save(self, folder: Path, facts: dict[str, object]) -> None:
        """Write the averaged weights in half precision, with the configuration, by a rename."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {key: value.half().cpu().contiguous() for key, value in self.average.items()}
        metadata = {"config": json.dumps(asdict(self.network.config)), "training": json.dumps(facts)}
        temporary = folder / f".{FILE_NAME}.part"
        save_file(tensors, temporary, metadata)
        temporary.replace(folder / FILE_NAME)


def _schedule(done: float) -> float:
    """Learning rate relative to the highest: a short rise, then half a cosine, by the share of the time."""
    if done < _WARM_UP:
        return 0.02 + 0.98 * done / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - _WARM_UP) / (1 - _WARM_UP)))) + 0.002


@torch.inference_mode()
def validate(network: BrainExtractor, heads: SyntheticHeads, batches: int, size: int = 4) -> list[float]:
    """Dice of each scan that shows some brain, at probability 0.5, of batches of synthetic heads."""
    values = []
    for _ in range(batches):
        image, target = heads.batch(size)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=image.is_cuda):
            found = (network(scaled_input(image)) > 0).float()
        true, axes = (target > 0.5).float(), (1, 2, 3, 4)
        dice = 2 * (found * true).sum(axes) / (found.sum(axes) + true.sum(axes)).clamp_min(1.0)
        values += dice[true.sum(axes) > _LEAST_BRAIN].tolist()
    return values


@dataclass(frozen=True)
class Files:
    """What a training reads and writes.

    pack: to train on. held_out: to measure the Dice on, or None. folder: of the weights. initial: weights to start
    from, or None for random ones.
    """

    pack: Path
    held_out: Path | None
    folder: Path
    initial: Path | None = None


def train(files: Files, device: torch.device, options: TrainingOptions) -> dict[str, object]:
    """Train for the given time and write the weights into the folder, every 30 s and at the end.

    Returns the facts that are stored with the weights: steps, seconds, loss, held-out Dice.
    """
    started = time.perf_counter()
    trainer = Trainer(device, options, files.initial)
    heads: SyntheticHeads | ReplayedHeads = SyntheticHeads(Pack(files.pack, device), HeadOptions(), options.seed)
    if options.fresh is not None:
        heads = ReplayedHeads(heads, HeadOptions().shapes, options.fresh, seed=options.seed)
    judged = None if files.held_out is None else Pack(files.held_out, device)
    reserve = 0.0 if judged is None else min(8.0, 0.06 * options.seconds)
    losses = _steps(trainer, heads, files.folder, started, options.seconds - reserve)
    facts = _facts(trainer, losses, time.perf_counter() - started)
    trainer.save(files.folder, facts)
    if judged is not None:
        facts |= _judged(trainer, judged, options)
        trainer.save(files.folder, facts)
    _log.info("%s", json.dumps(facts))
    return facts


def _steps(
    trainer: Trainer, heads: SyntheticHeads | ReplayedHeads, folder: Path, started: float, seconds: float
) -> list[torch.Tensor]:
    """All steps; gives the last losses."""
    options, last_saved, last_logged = trainer.options, started, started
    losses: list[torch.Tensor] = []
    while options.steps is None or trainer.steps < options.steps:
        now = time.perf_counter()
        done = (now - started) / seconds if options.steps is None else trainer.steps / options.steps
        if done >= 1:
            break
        losses.append(trainer.step(*heads.batch(options.batch), done))
        if now - last_logged > _LOG_EVERY:
            recent, losses, last_logged = torch.stack(losses).mean().item(), losses[-20:], now
            _log.info("%5.1f s, step %d, loss %.4f", now - started, trainer.steps, recent)
        if now - last_saved > _SAVE_EVERY:
            trainer.save(folder, {"steps": trainer.steps, "finished": False})
            last_saved = now
    return losses


def _facts(trainer: Trainer, losses: list[torch.Tensor], seconds: float) -> dict[str, object]:
    loss = torch.stack(losses[-50:]).mean().item() if losses else None
    pace = round(trainer.steps / seconds, 2)
    return {
        "steps": trainer.steps,
        "seconds": round(seconds, 1),
        "steps_per_second": pace,
        "loss": loss,
        "finished": True,
    }


def _judged(trainer: Trainer, judged: Pack, options: TrainingOptions) -> dict[str, object]:
    torch.manual_seed(1)
    heads = SyntheticHeads(judged, HeadOptions(), seed=1)
    dice = sorted(validate(trainer.averaged(), heads, options.validation_batches))
    if not dice:
        return {"held_out_heads": 0}
    mean, worst = sum(dice) / len(dice), dice[0]
    facts = {"held_out_heads": len(dice), "mean_dice": mean, "median_dice": dice[len(dice) // 2], "worst_dice": worst}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()}
