"""What a training leaves for its user: the model's card, the result's record and the report."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .. import __version__
from ..models.card import ModelCard
from ..models.checkpoint import Model, save_checkpoint
from ..networks.image_network import ImageNetwork
from ..transforms.normalization import Normalization
from ..utils.atomic_files import atomic_path
from ..utils.errors import MissingPackage, TrainingError
from .config import TrainingConfig
from .data.coverage import training_domain
from .data.subject import Subject
from .validation import Scores, mean_scores

logger = logging.getLogger(__name__)


def make_card(config: TrainingConfig, subjects: list[Subject], parent: Model | None) -> ModelCard:
    """What the trained model says of itself.

    Args:
        config: of the training.
        subjects: those that it learns from.
        parent: the model that it starts from.
    """
    spacings = [subject.spacing for subject in subjects]
    low, high = config.simulation.zoom
    made = (min(spacings) / high, max(spacings) / low)
    factor = config.simulation.factor
    slices = config.slice_thickness or (factor[0] * made[0], factor[1] * made[1])
    inherited = ModelCard() if parent is None else parent.card
    count = f"{len(subjects)} volume{'s' if len(subjects) > 1 else ''}"
    return replace(
        inherited,
        title=config.title or (f"{inherited.title}, fine-tuned" if parent else f"{config.network.architecture}"),
        description=config.description or f"Trained with the preset {config.preset} on {count}.",
        normalization=Normalization() if parent is None else parent.card.normalization,
        training_data=config.training_data or f"{count} of the user's own",
        training_spacing=(round(made[0], 3), round(made[1], 3)),
        training_slices=(round(slices[0], 3), round(slices[1], 3)),
        consistent_input=bool(config.simulation.consistent_input),
        domain=training_domain(subjects, config.simulation, config.seed),
        classes=tuple(config.tissues),
        licence=config.licence or inherited.licence,
        citation=config.citation or inherited.citation,
        parent="" if parent is None else f"{parent.name} {parent.sha256}",
        software_version=__version__,
    )


def save_model(path: Path, network: ImageNetwork, card: ModelCard) -> None:
    """Write a model file; a full disk leaves the file of before.

    Raises:
        TrainingError: it could not be written.
    """
    try:
        save_checkpoint(path, network, card)
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainingError(f"{path.name} could not be saved ({error}); the last good checkpoint is kept.") from error


def write_result(folder: Path, config: TrainingConfig, card: ModelCard, facts: dict[str, Any]) -> None:
    """Write result.json: the whole configuration, the card and the figures."""
    record = {"software_version": __version__, "card": asdict(card), "configuration": asdict(config), **facts}
    with atomic_path(folder / "result.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2), encoding="utf-8")


def write_report(path: Path, before: list[Scores] | None, after: list[Scores]) -> None:
    """Write the figures of every test volume as a Markdown table: interpolation, before and after, of each class."""
    stages = ([("before", before)] if before else []) + [("after" if before else "network", after)]
    head = ["volume", "spline PSNR", "spline SSIM"]
    classes = list(after[0].class_dice) if len(after[0].class_dice) > 1 else []
    measures = ["PSNR", "SSIM", "mean Dice" if classes else "Dice", *(f"Dice {name}" for name in classes)]
    measures += ["Dice mask"] if after[0].mask_dice is not None else []
    head += [f"{stage} {name}" for stage, _ in stages for name in measures]
    lines = ["# Test volumes", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    columns = [[*scores, mean_scores(scores)] for _, scores in stages]
    for row in zip(*columns, strict=True):
        cells = [row[0].name, f"{row[0].psnr_spline:.2f}", f"{row[0].ssim_spline:.4f}"]
        for score in row:
            cells += [f"{score.psnr:.2f}", f"{score.ssim:.4f}", "" if score.dice is None else f"{score.dice:.3f}"]
            cells += [f"{score.class_dice[name]:.3f}" for name in classes]
            cells += [] if score.mask_dice is None else [f"{score.mask_dice:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "PSNR (dB) and SSIM inside the brain, Dice at a probability of one half. The best model of the"]
    lines += ["training was chosen on these volumes: expect slightly less on others."]
    if before and mean_scores(after).selection_score <= mean_scores(before).selection_score:
        lines += ["", "The training did not improve on the model that it started from; that one is kept."]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def try_to_draw(draw: Any, *arguments: Any) -> None:
    """Draw a picture where the drawing package is installed; a training does not depend on it."""
    try:
        draw(*arguments)
    except MissingPackage as error:
        logger.info("No picture: %s", error)
