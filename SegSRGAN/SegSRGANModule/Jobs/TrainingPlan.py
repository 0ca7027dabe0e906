"""What a training will cost, before it starts: patches and time, estimated from earlier trainings on this machine."""

from __future__ import annotations

import csv
from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..Preflight import words
from .TrainingPairs import TRAIN, Pair

# Seconds a patch of 64^3, until a training on this machine was timed (docs/training.md: 0.9 s on one CPU thread; the
# value for GPUs is a guess, which the panel says).
_ASSUMED = {"cpu": 1.0, "gpu": 0.1}
_SETTING = "SegSRGAN/SecondsPerTrainingPatch"


def describe(parameters, pairs: list[Pair]) -> str:
    """One line: "Training volumes: 3, 96 patches an epoch; about 2 h for 20 epochs on this CPU."."""
    volumes = _volumes(parameters, pairs)
    if not volumes:
        return ""
    patches = volumes * parameters.patchesPerVolume
    device = "gpu" if parameters.trainingDevice in ("cuda", "mps") else "cpu"
    rate = qt.QSettings().value(f"{_SETTING}/{device}")
    total = patches * parameters.epochs * float(rate if rate is not None else _ASSUMED[device])
    text = _("Training volumes: {volumes}, {patches} patches an epoch; about {time} for {epochs} epochs {place}.")
    place = _("on this CPU") if device == "cpu" else _("on the GPU")
    line = text.format(volumes=volumes, patches=patches, time=words(total), epochs=parameters.epochs, place=place)
    guess = _("The first training on this computer may take much longer or shorter.")
    return line if rate is not None else f"{line} {guess}"


def remember(rows: list[dict[str, float]], patches: int, device: str) -> None:
    """Note the speed of a training from its log: patches an epoch, and what the run says of its device."""
    timed = [row for row in rows if row.get("seconds", 0) > 0 and row.get("epoch", 0) > 0]
    if timed and patches:
        rate = timed[-1]["seconds"] / (timed[-1]["epoch"] * patches)
        qt.QSettings().setValue(f"{_SETTING}/{'gpu' if device in ('cuda', 'mps') else 'cpu'}", rate)


def patchesAnEpoch(parameters, pairs: list[Pair]) -> int:
    return _volumes(parameters, pairs) * parameters.patchesPerVolume


def _volumes(parameters, pairs: list[Pair]) -> int:
    """Training volumes in the list, or in the table that replaces it."""
    if not parameters.trainingCsv:
        return sum(pair.base == TRAIN for pair in pairs)
    path = Path(parameters.trainingCsv)
    if not path.is_file():
        return 0
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        return sum((row.get("Base") or "").strip().lower() == TRAIN.lower() for row in csv.DictReader(stream))
