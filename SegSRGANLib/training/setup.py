"""Before the first step: the network, the volumes, and all that can be wrong with them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..models.card import ModelCard
from ..models.checkpoint import Model, load_model
from ..models.header import is_keras_file
from ..models.keras_critic import read_keras_critic
from ..models.keras_import import read_keras_file
from ..networks.factory import ARCHITECTURES
from ..networks.image_network import ImageNetwork
from ..networks.segsrgan import Discriminator
from ..transforms.normalization import Normalization
from ..utils.progress import Progress, ShouldStop
from .config import TrainingConfig
from .config_parsing import build, merge
from .data.loading import load_subjects
from .data.splits import TEST, TRAIN, DataError, read_cases
from .data.subject import MaskTarget, Subject
from .optimization import freeze, start_as_interpolation
from .validation import ValidationCase, prepare_case

_CLASSES = "classes"  # option of the networks that segment; the configuration's classes set it
_MASK_CHANNELS = 2  # background and brain
_SYNTHETIC_TISSUES = 4  # fewer make no brain

# what may differ between a training and its resumption
_FREE_KEYS = {"output", "csv", "bids", "resume", "device", "compute", "epochs", "hours", "keep_every", "tensorboard"}
_FREE_KEYS |= {"validation", "title", "description", "training_data", "licence", "citation"}


def load_parent(config: TrainingConfig) -> Model | None:
    """The model that the training starts from, also out of a weight file of the original project.

    Raises:
        CheckpointError: it cannot be read.
    """
    if config.init is None:
        return None
    path = Path(config.init)
    if not _is_original(path):
        return load_model(config.init, "cpu")
    network, card = read_keras_file(path, ModelCard(title=path.stem, description=f"The weight file {path.name}."))
    return Model(network, card, hashlib.sha256(path.read_bytes()).hexdigest(), path.stem)


def load_critic(config: TrainingConfig) -> Discriminator | None:
    """The critic to start from, out of a weight file of the original project; None for a new one.

    Raises:
        CheckpointError: it cannot be read.
    """
    if config.loss.adversarial == 0:
        return None
    if config.init_critic is not None:
        return read_keras_critic(config.init_critic)
    return read_keras_critic(config.init) if config.init is not None and _is_original(Path(config.init)) else None


def _is_original(path: Path) -> bool:
    return path.is_file() and is_keras_file(path)


def with_critic(config: TrainingConfig, critic: Discriminator | None) -> TrainingConfig:
    """The configuration with the size of the critic that it starts from."""
    if critic is None:
        return config
    return replace(config, loss=replace(config.loss, critic_filters=critic.config.filters))


def with_architecture(config: TrainingConfig, parent: Model | None) -> TrainingConfig:
    """The configuration with the architecture, and unless it says otherwise the input, of the model it starts from.

    Raises:
        ValueError: a model that segments other classes, or is built otherwise than the configuration says.
    """
    if parent is None:
        return config
    _check_parent(config, parent)
    name = next(key for key, (_, kind) in ARCHITECTURES.items() if type(parent.network) is kind)
    options = asdict(parent.network.config)
    options.pop(_CLASSES, None)
    for key, value in config.network.options.items():
        if key in options and value != options[key]:
            raise ValueError(
                f"The model {parent.name} has {key} {options[key]!r}, the configuration asks for network.options.{key} "
                f"{value!r}; leave it out, or leave out init."
            )
    simulation = config.simulation
    if simulation.consistent_input is None:
        simulation = replace(simulation, consistent_input=parent.card.consistent_input)
    network = replace(config.network, architecture=name, options=options)
    return replace(config, network=network, simulation=simulation)


def _check_parent(config: TrainingConfig, parent: Model) -> None:
    names, known = tuple(config.tissues), parent.classes
    if len(names) != max(1, len(known)):  # a model of the intensity alone needs a tissue to find its patches by
        raise ValueError(
            f"The model {parent.name} segments {', '.join(known) or 'nothing'}, the configuration {', '.join(names)}; "
            "give as many classes as it has, or leave out init."
        )
    if names != known and set(names) == set(known):
        raise ValueError(f"The model {parent.name} has its classes in the order {', '.join(known)}; give them so.")


def make_network(config: TrainingConfig, parent: Model | None) -> ImageNetwork:
    """The network to train: the parent's, or a new one that starts as interpolation.

    Raises:
        ValueError: an unknown architecture or option, a part to freeze that it does not have, or a patch or loss that
            it cannot be trained with.
    """
    torch.manual_seed(config.seed)
    network = _new_network(config) if parent is None else parent.network
    multiple, patch = network.multiple, config.simulation.patch
    if network.mask_channels > _MASK_CHANNELS:
        raise ValueError(
            f"This network predicts a mask of {network.mask_channels} classes; a mask that is trained has one channel, "
            "the brain, or two, background and brain."
        )
    if patch % multiple or patch < network.minimum:
        raise ValueError(f"This network needs patches in multiples of {multiple} voxels, not {patch}.")
    if config.loss.adversarial > 0 and not getattr(network, "segments", True):
        raise ValueError("The critic judges intensity and segmentation together; this network does not segment.")
    freeze(network, config.freeze)
    return network.train()


def _new_network(config: TrainingConfig) -> ImageNetwork:
    names = [name for name in ARCHITECTURES if name != "discriminator"]
    if config.network.architecture not in names:
        raise ValueError(f"Unknown architecture {config.network.architecture!r}; choose one of {', '.join(names)}.")
    config_type, network_type = ARCHITECTURES[config.network.architecture]
    network = network_type(build(config_type, _options(config, config_type), "network.options."))
    start_as_interpolation(network)
    return network


def _options(config: TrainingConfig, config_type: Any) -> dict[str, Any]:
    """The network's options, with the number of classes."""
    options, count = config.network.options, len(config.tissues)
    if _CLASSES not in {item.name for item in fields(config_type)}:
        if count > 1:
            raise ValueError(f"The architecture {config.network.architecture} cannot segment {count} classes.")
        return options
    if options.get(_CLASSES, count) != count:
        raise ValueError(
            f"network.options.{_CLASSES} is {options[_CLASSES]!r}, but the configuration has {count} "
            f"({', '.join(config.tissues)}); leave it out."
        )
    return {**options, _CLASSES: count}


def mask_target(config: TrainingConfig, network: ImageNetwork) -> MaskTarget | None:
    """The brain mask that the network is to learn; None when it predicts none."""
    channels = network.mask_channels
    return MaskTarget(channels, config.simulation.augmentation.surroundings) if channels else None


def load_data(
    config: TrainingConfig,
    normalization: Normalization,
    progress: Progress,
    should_stop: ShouldStop | None,
    mask: MaskTarget | None = None,
) -> tuple[list[Subject], list[ValidationCase]]:
    """The volumes to learn from, and the validation_cases.

    Raises:
        DataError: see `splits.read_cases` and `loading.load_subjects`; also a volume smaller than a patch.
    """
    cases = read_cases(config.csv, config.bids, config.test_share, config.seed, config.held_out_fold)
    tests = [case for case in cases if case.base == TEST][: config.validation.volumes]
    chosen = [case for case in cases if case.base == TRAIN] + tests
    loaded = load_subjects(chosen, config.tissues, normalization, progress, should_stop, mask)
    for case, subject in loaded:
        if case.base == TRAIN:
            _check_size(subject, case.where, config)
            _check_tissues(subject, case.where, config)
    subjects = [subject for case, subject in loaded if case.base == TRAIN]
    thickness = _exam_thickness(config, subjects)
    consistent = bool(config.simulation.consistent_input)
    tests = [subject for case, subject in loaded if case.base == TEST]
    validation_cases = [prepare_case(subject, thickness, normalization, consistent) for subject in tests]
    return subjects, validation_cases


def _check_size(subject: Subject, where: str, config: TrainingConfig) -> None:
    needed = math.ceil(config.simulation.patch / config.simulation.zoom[1])
    smallest = min(subject.intensity.shape)
    if smallest < needed:
        raise DataError(
            f"{where}: {subject.name} measures only {smallest} voxels around the brain, but a patch of "
            f"{config.simulation.patch} voxels needs {needed}; reduce simulation.patch."
        )


def _check_tissues(subject: Subject, where: str, config: TrainingConfig) -> None:
    tissues = len(np.unique(subject.labels)) - 1
    if config.simulation.augmentation.synthetic > 0 and tissues < _SYNTHETIC_TISSUES:
        raise DataError(
            f"{where}: {subject.name} has {tissues} tissues, too few to make contrasts from; set "
            "simulation.augmentation.synthetic to 0."
        )


def _exam_thickness(config: TrainingConfig, subjects: list[Subject]) -> float:
    if config.validation.slice_thickness is not None:
        return config.validation.slice_thickness
    if config.slice_thickness is not None:
        return sum(config.slice_thickness) / 2
    return sum(config.simulation.factor) / 2 * subjects[0].spacing


def check_same_training(before: dict[str, Any], config: TrainingConfig) -> None:
    """Refuse to resume a training with other values than it was begun with.

    Raises:
        ValueError: the first value that differs.
    """
    defaults = TrainingConfig(output=config.output, csv="", label=(1,))  # of what is newer than that training
    before = merge(json.loads(defaults.to_json()), before)
    now = json.loads(config.to_json())
    reordered = list(now["classes"] or {}) != list(before.get("classes") or {})  # other channels, though equal as dicts
    for key in now:
        if key not in _FREE_KEYS and (now[key] != before.get(key) or (key == "classes" and reordered)):
            raise ValueError(
                f"The training in this folder was begun with another {key}, {before.get(key)!r}: "
                "give that one, or choose another folder."
            )
