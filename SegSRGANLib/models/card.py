"""What a model file says of itself. Needs neither torch nor safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.classes import CORTEX, checked_names
from ..transforms.normalization import Normalization
from .header import UNUSABLE, Header, cannot_build, read_header

Range = tuple[float, float]
BiasRow = tuple[float, float, float]
_TEXTS = ("title", "description", "training_data", "licence", "citation", "parent", "software_version")


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
        ranges = {name: None if pair is None else _range(pair) for name, pair in values.items()}
        return cls(**ranges)  # ty: ignore[invalid-argument-type]  # None is for the contrast alone


@dataclass(frozen=True)
class Reliability:
    """How a model's accuracy follows from what a run measures, fitted on sources that it was not trained on.

    weights: of the figures of `quality.predicted_dice`, on the log-odds of the Dice. intercept: of these.
    half_width: of the interval, on the log-odds, that held nine in ten results of each left-out source.
    volume_bias_percent: of the first class, the 5th and 95th percentile over those of these results whose Dice was
    predicted alike: rows of (lowest predicted Dice, from, to), the best results first, the last row from 0 on.
    sources: which, in words.
    """

    weights: Mapping[str, float]
    intercept: float
    half_width: float
    volume_bias_percent: tuple[BiasRow, ...]
    sources: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Reliability:
        """From the JSON of a model's card."""
        weights = {str(name): _number(weight) for name, weight in values["weights"].items()}
        bias = _bias_rows(values["volume_bias_percent"])
        return cls(
            weights, _number(values["intercept"]), _number(values["half_width"]), bias, str(values.get("sources", ""))
        )

    def volume_bias(self, dice: float) -> Range:
        """The bias of the first class's volume in percent, from and to, where this Dice is predicted."""
        return next((low, high) for start, low, high in self.volume_bias_percent if dice >= start)


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself.

    training_spacing: voxel spacing in mm, from and to, of the volumes it was trained to make.
    training_slices: slice thickness in mm, from and to, of the low resolution it was trained on.
    consistent_input: whether the network gets interpolated slices that `enforce_data_consistency` brought to
        agreement with the scan, so that it need not guess how thick they were; else the interpolated slices alone.
    domain: what else its training covered; None where that was not measured.
    classes: names of what it segments, in the order of the network's probability channels.
    as_original: whether it is run as the original project runs its networks, see `EnhanceOptions.as_original`.
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
    as_original: bool = False

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ModelCard:
        """From the JSON of a model file.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: values that are missing or cannot be.
        """
        given = dict(values)
        given["normalization"] = Normalization(**given["normalization"])
        for key in ("training_spacing", "training_slices"):
            given[key] = _range(given[key])
        if given.get("domain") is not None:
            given["domain"] = Domain.from_values(given["domain"])
        if given.get("reliability") is not None:
            given["reliability"] = Reliability.from_values(given["reliability"])
        for key in _TEXTS:
            if not isinstance(given.get(key, ""), str):
                raise TypeError(f"{key} is no text")
        for key in ("consistent_input", "as_original"):
            if not isinstance(given.get(key, False), bool):
                raise TypeError(f"{key} is neither true nor false")
        given["classes"] = checked_names(given.get("classes", (CORTEX,)))
        return cls(**given)


def read_card(path: Path) -> ModelCard:
    """The card of a model file, out of its header: the weights are not read, and their network is not built.

    Raises:
        CheckpointError: missing, truncated or foreign file, or an impossible card.
    """
    return card_in(path, read_header(path))


def card_in(path: Path, header: Header) -> ModelCard:
    """The card in the header of the file `path`.

    Raises:
        CheckpointError: an impossible card.
    """
    try:
        return ModelCard.from_values(header.description["card"])
    except UNUSABLE as error:
        raise cannot_build(path, error) from error


def _range(values: Any) -> Range:
    low, high = (_number(value) for value in values)
    if low > high:
        raise ValueError(f"a range from {low} to {high}")
    return low, high


def _bias_rows(values: Any) -> tuple[BiasRow, ...]:
    rows = tuple((_number(start), *_range((low, high))) for start, low, high in values)
    starts = [start for start, _, _ in rows]
    if not rows or starts != sorted(set(starts), reverse=True) or starts[-1] != 0:
        raise ValueError(f"rows of predicted Dice that begin at {starts}")
    return rows


def _number(value: Any) -> float:
    if not isfinite(number := float(value)):
        raise ValueError(f"a number of {number}")
    return number
