"""Everything that a training depends on, in one frozen structure that is saved with each of its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..data.classes import CORTEX, checked_names
from ..utils.optional import require
from .config_parsing import build, merge
from .data.patch_simulation import SimulationConfig
from .losses import LossConfig
from .optimization import OptimizerConfig
from .presets import DEFAULT_PRESET, FINE_TUNING_PRESET, PRESETS

SIMULATED_ON = ("auto", "device", "cpu")
_CRITIC_SIDE = 64  # voxels that the paper's critic needs


@dataclass(frozen=True)
class ValidationConfig:
    """How the model is judged during the training: whole test volumes, thick slices along z, against the spline.

    every: epochs between two validations.
    slice_thickness: of the simulated acquisition, mm; None takes the middle of the training's range.
    volumes: at most so many test volumes, the first of the list; None takes all.
    patch, overlap: of the prediction, see `predictor.PredictionOptions`.
    patience: stop after so many validations without a better one; None goes on.
    """

    every: int = 1
    slice_thickness: float | None = None
    volumes: int | None = None
    patch: int = 64
    overlap: float = 0.25
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("every", "volumes", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"validation.{name} is at least 1, not {value}.")
        if self.slice_thickness is not None and not self.slice_thickness > 0:
            raise ValueError(f"validation.slice_thickness must be positive, in mm, not {self.slice_thickness}.")


@dataclass(frozen=True)
class ComputeConfig:
    """What the training runs on; none of it changes what is trained.

    workers: processes that simulate patches; None chooses. threads: of the CPU; None leaves PyTorch's choice.
    processes: training processes on one machine (GPUs, or CPU processes). nodes: machines.
    channels_last: memory layout that GPUs with tensor cores like. simulation: where patches are simulated, "cpu", in
    batches on the "device" of the network, or "auto": on the device when it is a GPU that can hold the volumes.
    """

    workers: int | None = None
    threads: int | None = None
    processes: int = 1
    nodes: int = 1
    channels_last: bool = False
    simulation: str = "auto"

    def __post_init__(self) -> None:
        if self.simulation not in SIMULATED_ON:
            listed = ", ".join(SIMULATED_ON)
            raise ValueError(f"compute.simulation is one of {listed}, not {self.simulation!r}.")
        for name, least in (("workers", 0), ("threads", 1), ("processes", 1), ("nodes", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"compute.{name} is at least {least}, not {value}.")


@dataclass(frozen=True)
class NetworkConfig:
    """Which network: an architecture of `factory.ARCHITECTURES`, and the fields of its config."""

    architecture: str = "generator"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingConfig:
    """One training.

    output: folder for everything that is written. csv or bids: where the volumes are.
    init: name or file of the model to start from, or a weight file of the original project; None: random
    initialisation. init_critic: weight file of the original project whose critic to start from; None: that of `init`
    when it is such a file and there is a critic, else random initialisation.
    preset: where the defaults came from (for the record; the values below count).
    label: label of the cortex, one or several that count as one. classes: instead of `label`, the labels of each class
    to segment by its name, such as {"cortex": (5,), "white matter": (1, 2)}; the first is the one that measures of
    quality are about.
    epochs: each has `patches_per_subject` patches a training volume. hours: when given, the run lasts that long
    instead, and the learning rate follows the clock.
    slice_thickness: slice spacing to learn, from and to, mm; None uses `simulation.factor`.
    held_out_fold: of a table with a column Fold in the place of Base; its volumes are tested on.
    test_share: of the subjects of a BIDS folder that does not say which to test on.
    freeze: parts of the network to hold fixed. keep_every: epochs between models that are kept for good.
    title, description, training_data, licence, citation: for the model's card.
    resume: go on where the folder's training stopped.
    """

    output: str
    label: tuple[int, ...] = ()
    classes: dict[str, tuple[int, ...]] | None = None
    csv: str | None = None
    bids: str | None = None
    init: str | None = None
    init_critic: str | None = None
    preset: str = DEFAULT_PRESET
    epochs: int = 100
    hours: float | None = None
    patches_per_subject: int = 32
    slice_thickness: tuple[float, float] | None = None
    held_out_fold: str = ""
    test_share: float = 0.2
    freeze: tuple[str, ...] = ()
    keep_every: int | None = None
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    tensorboard: bool = False
    title: str = ""
    description: str = ""
    training_data: str = ""
    licence: str = ""
    citation: str = ""
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    simulation: SimulationConfig = SimulationConfig()
    validation: ValidationConfig = ValidationConfig()
    compute: ComputeConfig = ComputeConfig()

    def __post_init__(self) -> None:
        if (self.csv is None) == (self.bids is None):
            raise ValueError("Give the volumes either as `csv` or as `bids`, one of the two.")
        self._check_classes()
        if self.epochs < 1 or self.patches_per_subject < 1:
            raise ValueError("epochs and patches_per_subject are at least 1.")
        if self.hours is not None and not self.hours > 0:
            raise ValueError(f"hours must be positive, not {self.hours}.")
        if self.slice_thickness is not None and not 0 < self.slice_thickness[0] <= self.slice_thickness[1]:
            raise ValueError(f"slice_thickness goes from a positive number of mm up, not {self.slice_thickness}.")
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share lies between 0 and 1, not at {self.test_share}.")
        if self.loss.adversarial > 0 and self.simulation.patch < _CRITIC_SIDE:
            raise ValueError(
                f"The critic needs patches of at least {_CRITIC_SIDE} voxels, not {self.simulation.patch}: "
                "enlarge simulation.patch or set loss.adversarial to 0."
            )
        if self.init_critic is not None and self.loss.adversarial == 0:
            raise ValueError(
                "init_critic names a critic, but loss.adversarial is 0: set it (the paper's is 0.001), or leave "
                "init_critic out."
            )
        total = self.compute.processes * self.compute.nodes
        if self.optimizer.batch % total:
            raise ValueError(f"A batch of {self.optimizer.batch} patches cannot be shared by {total} processes evenly.")

    def _check_classes(self) -> None:
        if not self.label and not self.classes:
            raise ValueError("Give the `label` of the tissue to segment, as it stands in the label maps, or `classes`.")
        if self.label and self.classes:
            raise ValueError("Give either `label`, for one tissue, or `classes`, for several; not both.")
        checked_names(self.tissues)
        taken: dict[int, str] = {}
        for name, labels in self.tissues.items():
            if not labels:
                raise ValueError(f"The class {name!r} has no label; give at least one, as in {{{name}: [5]}}.")
            for label in set(labels):
                if label < 1:
                    raise ValueError(f"The class {name!r} cannot have the label {label}; labels of tissues begin at 1.")
                if taken.setdefault(label, name) != name:
                    raise ValueError(f"The label {label} stands in the classes {taken[label]!r} and {name!r}.")
        if len(self.tissues) > 1 and self.loss.adversarial > 0:
            raise ValueError(
                f"The critic judges intensity and one segmentation, not {len(self.tissues)} classes: "
                "set loss.adversarial to 0."
            )

    @property
    def tissues(self) -> dict[str, tuple[int, ...]]:
        """Labels of each class to segment, by its name, in the order of the network's channels."""
        return self.classes or {CORTEX: self.label}

    def to_json(self) -> str:
        """The values as JSON text, which `load_config` reads back."""
        return json.dumps(asdict(self), indent=2)


def make_config(values: Mapping[str, Any]) -> TrainingConfig:
    """A training from a nested mapping, over the defaults of its preset.

    Without a `preset` it is "fine-tune" when there is an `init`, else "content".

    Raises:
        ValueError: an unknown key or preset, or a value that cannot be, in one sentence.
    """
    values = {key: value for key, value in values.items() if value is not None}
    preset = values.get("preset", FINE_TUNING_PRESET if values.get("init") else DEFAULT_PRESET)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(f"Unknown preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    if "output" not in values:
        raise ValueError("The configuration lacks `output`, the folder to write to.")
    if "label" not in values and "classes" not in values:
        raise ValueError("The configuration lacks `label`, the label of the tissue to segment (or `classes`).")
    return build(TrainingConfig, {**merge(PRESETS[preset], values), "preset": preset})


def read_values(path: str | Path) -> dict[str, Any]:
    """Read a JSON or YAML configuration file; relative paths in it are relative to its folder.

    Raises:
        ValueError: missing or malformed file.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no configuration file {path}.")
    values = _parsed(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must hold keys and values, such as `output: folder`.")
    for key in ("output", "csv", "bids"):
        if isinstance(values.get(key), str):
            values[key] = str(path.parent / os.path.expandvars(os.path.expanduser(values[key])))
    for key in ("init", "init_critic"):
        if isinstance(values.get(key), str) and (path.parent / values[key]).is_file():
            values[key] = str(path.parent / values[key])
    return values


def parse_setting(text: str) -> dict[str, Any]:
    """One KEY=VALUE of a command line as a nested mapping; a value that is no JSON is a text.

    Raises:
        ValueError: no equals sign.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"A setting is written KEY=VALUE, such as optimizer.rate=1e-4, not {text!r}.")
    try:
        parsed: Any = json.loads(value)
    except ValueError:
        parsed = value
    *outer, last = key.strip().split(".")
    setting: dict[str, Any] = {last: parsed}
    for name in reversed(outer):
        setting = {name: setting}
    return setting


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no text in UTF-8 ({error.reason} at byte {error.start}).") from None
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path.name} is not readable as JSON: {error}.") from None
    yaml = require("yaml", extra="train")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name} is not readable as YAML: {' '.join(str(error).split())}.") from None
