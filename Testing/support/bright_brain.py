"""A stand-in for the brain extractor, for which bright is brain, and scenes for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from SegSRGANLib.data.grid import Grid

WIDER = 0.9  # mm: where a border that was smoothed (1.5 mm, and 3 mm voxels) falls to 0.3
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0)


@dataclass(frozen=True)
class _Config:
    multiple: int = 16


class BrightIsBrain(nn.Module):
    """In place of the trained network: logit of what is brighter than half of the scale."""

    config = _Config()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, D, H, W) -> the same."""
        return (x - 0.5) * 20


def use_bright_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library find what is bright, in this process."""
    target = "SegSRGANLib.inference.brain.extraction.load_brain_extractor"
    monkeypatch.setattr(target, lambda device: BrightIsBrain().to(device))
    monkeypatch.setattr("SegSRGANLib.models.brain_extractor._entries", lambda: [{"file": "", "sha256": ""}])


def scan_grid(spacing: tuple[float, float, float] = (1.0, 1.5, 4.0)) -> Grid:
    """An oblique field of view of 128 mm."""
    return Grid(tuple(round(128 / s) for s in spacing), spacing, (10.0, -20.0, 30.0), OBLIQUE)


def ball(grid: Grid, radius: float, centre: tuple[float, float, float] = (64, 64, 64)) -> np.ndarray:
    """True (z, y, x) inside a ball; centre (x, y, z) in mm from the near faces."""
    at = [(np.arange(n) + 0.5) * s - c for n, s, c in zip(grid.size, grid.spacing, centre, strict=True)]
    z, y, x = np.meshgrid(*at[::-1], indexing="ij")
    return x**2 + y**2 + z**2 < radius**2


def head(grid: Grid, radius: float = 30, centre: tuple[float, float, float] = (64, 64, 64)) -> np.ndarray:
    """A bright brain in a dim head whose air is not black, float32."""
    scan = np.where(ball(grid, radius, centre), 1000.0, 120.0 * ball(grid, radius + 12, centre))
    return (scan + 5 + np.arange(grid.size[0]) % 2).astype(np.float32)
