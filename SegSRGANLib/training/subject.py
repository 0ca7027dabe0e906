"""A training subject in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Subject:
    """One brain: intensity (z, y, x) float32 scaled to [0, 1], and its tissues (z, y, x) uint8, 0 outside.

    wanted: the tissue numbers to segment. spacing: mm, isotropic. weight: how often it is drawn, relative to others.
    """

    name: str
    intensity: np.ndarray
    labels: np.ndarray
    wanted: tuple[int, ...]
    spacing: float
    weight: float = 1.0

    @cached_property
    def wanted_table(self) -> np.ndarray:
        """For each tissue number 1 if it is wanted, else 0, float32 (256,)."""
        table = np.zeros(256, np.float32)
        table[list(self.wanted)] = 1
        return table

    @cached_property
    def wanted_voxels(self) -> np.ndarray:
        """Flat indices of the wanted tissue."""
        return np.flatnonzero(self.wanted_table[self.labels])

    @cached_property
    def brain_voxels(self) -> np.ndarray:
        """Flat indices of every tissue."""
        return np.flatnonzero(self.labels)
