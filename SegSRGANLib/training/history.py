"""The log of a training: one row an epoch, as CSV and for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..utils.atomic_files import atomic_path
from ..utils.optional import require

MEASURES = ("psnr", "psnr_spline", "ssim", "ssim_spline", "dice", "mask_dice")  # of a row, as in `validation.Scores`


@dataclass(frozen=True)
class Row:
    """One epoch; values that were not computed are None.

    loss: mean of the generator's loss. critic_loss: mean of the critic's. psnr (dB), ssim: mean over the test volumes,
    inside the brain, of the network and of spline interpolation. dice: mean over test volumes and classes. mask_dice:
    of the brain mask, for a network that predicts one. seconds: since the start of the training.
    """

    epoch: int
    step: int
    loss: float | None = None
    critic_loss: float | None = None
    psnr: float | None = None
    psnr_spline: float | None = None
    ssim: float | None = None
    ssim_spline: float | None = None
    dice: float | None = None
    mask_dice: float | None = None
    seconds: float = 0.0

    def line(self) -> str:
        """The row for a person."""
        parts = [f"Epoch {self.epoch}"]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4f}")
        if self.psnr is not None and self.psnr_spline is not None:
            parts.append(f"PSNR {self.psnr:.2f} dB ({self.psnr - self.psnr_spline:+.2f} to the spline)")
        if self.dice is not None:
            parts.append(f"Dice {self.dice:.3f}")
        if self.mask_dice is not None:
            parts.append(f"Dice of the mask {self.mask_dice:.3f}")
        return ", ".join(parts)


def write_log(path: Path, rows: Iterable[Row]) -> None:
    """Write all rows as CSV, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [item.name for item in fields(Row)])
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in asdict(row).items()} for row in rows)


class TensorBoardLog:
    """The same rows as TensorBoard curves, in a folder."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", extra="train")
        self._writer: Any = require("torch.utils.tensorboard", extra="train").SummaryWriter(str(folder))

    def add(self, row: Row) -> None:
        """Add one epoch."""
        for name, value in asdict(row).items():
            if value is not None and name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
