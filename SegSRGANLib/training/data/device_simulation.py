"""Training patches simulated in batches on the device: a random piece of a random brain, seen by a random scanner.

The same steps as `patch_simulation`, as batched tensor operations: nothing waits for the CPU, so the network is never
starved. Shapes: N patches of side S = patch + 2 margin while they are simulated; the margin is what the slices reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .augmentation import rotation_matrix
from .device_config import DeviceSimulation
from .device_contrast import random_contrast, random_surroundings
from .device_random import DeviceRandom
from .device_volumes import DeviceVolume
from .slice_bank import SliceBank, along, make_bank

_STRETCH = 0.08  # log-difference of the zooms of two axes
_OFF_CENTRE = 8.0  # voxels between a drawn voxel and the middle of its patch
_BACKGROUND = 0.25  # weight of intensities outside of the brain


@dataclass(frozen=True)
class PatchBatch:
    """One batch of N patches of side P.

    given: (N, 1, P, P, P), what the network gets. target: (N, 1 + C, P, P, P), intensity and share of each class.
    weight: (N, 2, P, P, P), how much each voxel counts for the intensity and for the segmentation.
    """

    given: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


class DeviceSimulator:
    """Draws batches; the same seed gives the same batches on the same device."""

    def __init__(
        self, volumes: Sequence[DeviceVolume], config: DeviceSimulation, seed: int, device: torch.device
    ) -> None:
        self._volumes, self._config = list(volumes), config
        self._draw = DeviceRandom(seed, config.side, device)
        weights = np.array([volume.weight for volume in volumes], float)
        self._chance = weights / weights.sum()
        self._thick, self._inplane = self._banks(device)
        line = torch.arange(config.side, dtype=torch.float32, device=device) - (config.side - 1) / 2
        self._offsets = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1).reshape(-1, 3)

    def restart(self, *seed: int) -> None:
        """Draw from now on what a seed of one or several numbers gives; slice thicknesses stay those of the first."""
        self._draw.restart(*seed)

    @torch.no_grad()
    def batch(self, count: int) -> PatchBatch:
        """Draw `count` patches."""
        rng = self._draw.numbers
        chosen = [self._volumes[k] for k in rng.choice(len(self._volumes), count, p=self._chance)]
        turns, centres, thick_axes = zip(*(self._placement(volume) for volume in chosen), strict=True)
        image, shares = self._sampled(chosen, self._places(np.stack(turns), np.stack(centres)))
        image, real = random_contrast(self._draw, self._config, chosen, image, shares)
        image, shares, outside = random_surroundings(self._draw, self._config, image, shares)
        low = self._observed(image, np.array(thick_axes))
        margin = self._config.margin
        inner = (slice(None), slice(None), *(slice(margin, margin + self._config.patch),) * 3)
        image, shares, low, inside = image[inner], shares[inner], low[inner], 1 - outside[inner]
        target = torch.cat([image, shares[:, :-1].clamp(0, 1) * inside], dim=1)
        return PatchBatch(low * inside, target, self._weights(chosen, shares, inside, real))

    def _banks(self, device: torch.device) -> tuple[SliceBank, SliceBank]:
        config, rng = self._config, self._draw.numbers
        thick = []
        for k in range(config.slice_draws):
            factor = rng.uniform(*(config.usual_factor if k % 2 else config.factor))
            thick.append((factor, rng.uniform(*config.ratio), rng.uniform(0, config.noise)))
        inplane = [
            (rng.uniform(*config.inplane_factor) if k % 10 < 3 else 1.0, 1.0, 0.0) for k in range(config.inplane_draws)
        ]
        return (
            make_bank(config.side, thick, config.consistent, device),
            make_bank(config.side, inplane, False, device),
        )

    def _placement(self, volume: DeviceVolume) -> tuple[np.ndarray, np.ndarray, int]:
        """Linear map (3, 3) from patch to volume voxels, centre (3,), and the patch's axis with thick slices."""
        rng, config = self._draw.numbers, self._config
        pool = self._pool(volume)
        centre = pool[rng.integers(len(pool))] + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 3)
        order, signs = np.arange(3), np.array([1.0, 1.0, rng.choice([-1.0, 1.0])])
        if rng.random() < config.permuted:
            order, signs = rng.permutation(3), rng.choice([-1.0, 1.0], 3)
        turn = np.zeros((3, 3))
        turn[order, np.arange(3)] = signs
        if rng.random() < config.deformed:
            turn = turn @ rotation_matrix(np.radians(config.rotation) * rng.uniform(-1, 1, 3))
        zoom = rng.uniform(*(config.usual_zoom if rng.random() < 0.5 else config.zoom))
        chances = np.full(3, 1 / 3) if volume.averaged else np.array(config.scan_axes)
        axis = int(np.flatnonzero(order == rng.choice(3, p=chances))[0])
        return turn / (zoom * np.exp(rng.uniform(-1, 1, 3) * _STRETCH * config.stretched)), centre, axis

    def _pool(self, volume: DeviceVolume) -> np.ndarray:
        """The voxels of which one is drawn."""
        rng = self._draw.numbers
        if volume.chances is not None:
            return volume.centres[rng.choice(len(volume.centres), p=volume.chances)]
        return volume.centres[0 if rng.random() < self._config.label_share else rng.integers(len(volume.centres))]

    def _places(self, turns: np.ndarray, centres: np.ndarray) -> torch.Tensor:
        """Voxels (N, S, S, S, 3) of the volumes that the patches' voxels come from, (z, y, x), bent at random."""
        n, side, draw = len(turns), self._config.side, self._draw
        turn = torch.from_numpy(turns.astype(np.float32)).to(draw.device, non_blocking=True)
        centre = torch.from_numpy(centres.astype(np.float32)).to(draw.device, non_blocking=True)
        strength = (draw.numbers.random(n) < self._config.deformed) * draw.numbers.uniform(0.3, 1, n)
        bend = draw.smooth_field(n, 3, max(4, side // 16)) * draw.on_device(strength * self._config.elastic)
        places = torch.matmul(self._offsets, turn.transpose(1, 2)) + centre[:, None]
        return places.view(n, side, side, side, 3) + bend.permute(0, 2, 3, 4, 1)

    def _sampled(self, chosen: list[DeviceVolume], places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Intensity (N, 1, S, S, S), zero where there is no image, and shares (N, C, S, S, S)."""
        images, shares = [], []
        for volume, voxels in zip(chosen, places, strict=True):
            size = torch.tensor(volume.shares.shape[2:], dtype=torch.float32).to(voxels.device, non_blocking=True)
            points = ((2 * voxels + 1) / size - 1).flip(-1)[None]  # the same for both: they share a field of view
            shares.append(F.grid_sample(volume.shares, points, align_corners=False))
            empty = volume.intensity is None
            images.append(
                torch.zeros_like(shares[-1][:, :1])
                if empty
                else F.grid_sample(volume.intensity, points, align_corners=False)
            )
        return torch.cat(images), torch.cat(shares)

    def _observed(self, image: torch.Tensor, thick_axes: np.ndarray) -> torch.Tensor:
        """Thick slices along one axis, noise, and the way back (N, 1, S, S, S)."""
        n, draw = len(image), self._draw
        thick = torch.from_numpy(draw.numbers.integers(len(self._thick.down), size=n)).to(draw.device)
        axes = torch.from_numpy(thick_axes).to(draw.device)
        volumes, ups = image[:, 0], []
        for axis in range(3):
            other = torch.from_numpy(draw.numbers.integers(len(self._inplane.down), size=n)).to(draw.device)
            own = (axes == axis).view(-1, 1, 1)
            down = torch.where(own, self._thick.down[thick], self._inplane.down[other])
            ups.append(torch.where(own, self._thick.up[thick], self._inplane.up[other]))
            volumes = along(volumes, down, axis)
        noise = self._thick.noise[thick].view(-1, 1, 1, 1) * draw.normal(*volumes.shape)
        volumes = (volumes + noise).clamp_(min=0)
        for axis in range(3):
            volumes = along(volumes, ups[axis], axis)
        return volumes[:, None]

    def _weights(
        self, chosen: list[DeviceVolume], shares: torch.Tensor, inside: torch.Tensor, real: torch.Tensor
    ) -> torch.Tensor:
        """Scans and real contrasts count most for the intensity; borders in averages count less for the segmentation.

        Sources draw the border of the cortex at different places; a model can learn only one of them, that of scans.
        """
        averaged = np.array([volume.averaged for volume in chosen])
        brain = shares[:, :-1].sum(1, keepdim=True).clamp_(0, 1)
        importance = self._draw.on_device(np.where(averaged, self._config.average_weight, 1.0))
        intensity = importance * (0.5 + 0.5 * real.view(-1, 1, 1, 1, 1)) * (_BACKGROUND + (1 - _BACKGROUND) * brain)
        border = (4 * (shares * (1 - shares)).amax(1, keepdim=True)).clamp_(0, 1)
        lost = self._draw.on_device(averaged * (1 - self._config.border_weight))
        return torch.cat([intensity * inside, (1 - lost * border) * inside], dim=1)
