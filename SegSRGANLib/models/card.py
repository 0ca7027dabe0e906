"""What a model file says of itself. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from .. import __version__
from ..data.classes import CORTEX, checked_names
from ..transforms.normalization import Normalization
from ..utils.errors import CheckpointError

Range = tuple[float, float]
METADATA_KEY = "segsrgan"
# what metadata of another version, or of a hostile file, raise when they are read
UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Domain:
    """What the training of a model covered, each from and to; part of the model's card.

    inplane_factor: voxel spacing inside the slices over that of the result.
    brain_ml: volume of the brain with its CSF, mL. shape: see `Brain`.
    contrast: see `Brain`; None for a training on contrasts of all kinds.
    """

    inplane_factor: Range
    brain_ml: Range
    shape: Range
    contrast: Range | None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Domain:
        """From the JSON of a model's card."""
        return cls(
            **{name: None if pair is None else (float(pair[0]), float(pair[1])) for name, pair in values.items()}
        )


@dataclass(frozen=True)
class Reliability:
    """How a model's accuracy follows from what a run measures, fitted on sources that it was not trained on.

    weights: of the figures of `quality.predicted_dice`, on the log-odds of the Dice. intercept: of these.
    half_width: of the interval, on the log-odds, that held nine in ten results. volume_bias_percent: of the first
    class, the 5th and 95th percentile over these results. sources: which, in words.
    """

    weights: Mapping[str, float]
    intercept: float
    half_width: float
    volume_bias_percent: Range
    sources: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Reliability:
        """From the JSON of a model's card."""
        low, high = values["volume_bias_percent"]
        weights = {str(name): float(weight) for name, weight in values["weights"].items()}
        numbers = float(values["intercept"]), float(values["half_width"]), (float(low), float(high))
        return cls(weights, *numbers, str(values.get("sources", "")))


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself.

    training_spacing: voxel spacing in mm, from and to, of the volumes it was trained to make.
    training_slices: slice thickness in mm, from and to, of the low resolution it was trained on.
    consistent_input: whether the network gets interpolated slices that `enforce_data_consistency` brought to
        agreement with the scan, so that it need not guess how thick they were; else the interpolated slices alone.
    domain: what else its training covered; None where that was not measured.
    classes: names of what it segments, in the order of the network's probability channels.
    parent: name and SHA-256 of the model that a fine-tuning started from, or "".
    reliability: how accurate its results are, as far as a run can tell; None where that was not measured.
    """

    title: str = "Untitled model"
    description: str = ""
    normalization: Normalization = field(default_factory=Normalization)
    training_data: str = ""
    training_spacing: tuple[float, float] = (0.4, 1.2)
    training_slices: tuple[float, float] = (1.0, 6.0)
    consistent_input: bool = False
    domain: Domain | None = None
    classes: tuple[str, ...] = (CORTEX,)
    licence: str = ""
    citation: str = ""
    parent: str = ""
    software_version: str = __version__
    reliability: Reliability | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ModelCard:
        """From the JSON of a model file.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: values that are missing or cannot be.
        """
        given = dict(values)
        given["normalization"] = Normalization(**given["normalization"])
        for key in ("training_spacing", "training_slices"):
            low, high = given[key]
            given[key] = (float(low), float(high))
        if given.get("domain") is not None:
            given["domain"] = Domain.from_values(given["domain"])
        if given.get("reliability") is not None:
            given["reliability"] = Reliability.from_values(given["reliability"])
        given["classes"] = checked_names(given.get("classes", (CORTEX,)))
        return cls(**given)


def read_card(path: Path) -> ModelCard:
    """The card of a model file, out of its header: the weights are not read, and their network is not built.

    Raises:
        CheckpointError: missing, truncated or foreign file.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no model file {path}.")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a model file of this software, or is damaged ({error}).") from error
    text = description_in(path, metadata)
    try:
        return ModelCard.from_values(json.loads(text)["card"])
    except UNUSABLE as error:
        raise cannot_build(path, error) from error


def description_in(path: Path, metadata: Mapping[str, str] | None) -> str:
    """The JSON text in the metadata of a safetensors file.

    Raises:
        CheckpointError: there is none.
    """
    if METADATA_KEY not in (metadata or {}):
        raise CheckpointError(f"{path.name} has no metadata of SegSRGAN: it is another project's safetensors file.")
    return metadata[METADATA_KEY]


def cannot_build(path: Path, error: Exception) -> CheckpointError:
    """The sentence about metadata that raised one of `UNUSABLE`."""
    return CheckpointError(
        f"{path.name} describes a model that this version ({__version__}) cannot build ({error!r:.200})."
    )
