"""A training subject in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch


def brain_table(surroundings: Sequence[int]) -> np.ndarray:
    """1 for each tissue number that is brain, float32 (256,): neither background nor one of the surroundings."""
    table = np.ones(256, np.float32)
    table[[0, *surroundings]] = 0
    return table


@dataclass(frozen=True)
class MaskTarget:
    """The brain mask that a network predicts after its classes.

    channels: 1, the share of brain, or 2, those of background and of brain (a softmax). surroundings: numbers of the
    tissues that lie outside of the brain.
    """

    channels: int
    surroundings: tuple[int, ...] = ()

    def shares(self, brain: torch.Tensor) -> list[torch.Tensor]:
        """What the channels should be, for the share of brain in each voxel."""
        return [brain] if self.channels == 1 else [1 - brain, brain]


@dataclass(frozen=True)
class Subject:
    """One brain: intensity (z, y, x) float32 scaled to [0, 1], and its tissues (z, y, x) uint8, 0 outside.

    wanted: the tissue numbers of each class to segment, by its name. spacing: mm, isotropic. weight: how often it is
    drawn, relative to others. mask: the brain mask to learn, or None.
    """

    name: str
    intensity: np.ndarray
    labels: np.ndarray
    wanted: Mapping[str, tuple[int, ...]]
    spacing: float
    weight: float = 1.0
    mask: MaskTarget | None = None

    @cached_property
    def class_table(self) -> np.ndarray:
        """For each tissue number its class, uint8 (256,): 1 for the first, 2 for the second ..., 0 for none."""
        table = np.zeros(256, np.uint8)
        for number, tissues in enumerate(self.wanted.values(), start=1):
            table[list(tissues)] = number
        return table

    @cached_property
    def class_voxels(self) -> list[np.ndarray]:
        """Flat indices of each class that has any."""
        classes = self.class_table[self.labels]
        voxels = [np.flatnonzero(classes == number) for number in range(1, 1 + len(self.wanted))]
        return [indices for indices in voxels if len(indices)]

    @property
    def brain(self) -> np.ndarray:
        """The brain mask, bool (z, y, x)."""
        return brain_table(() if self.mask is None else self.mask.surroundings)[self.labels] > 0

    @cached_property
    def brain_voxels(self) -> np.ndarray:
        """Flat indices of every tissue."""
        return np.flatnonzero(self.labels)
