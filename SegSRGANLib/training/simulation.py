"""Training patches: a random piece of a random brain, as a random scanner would have seen it.

The observation model runs on the patch and a margin around it, so every patch has its own slice thickness, axis,
contrast, scale and noise. All of it is matrix products and runs on the CPU or the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..acquisition import sampling_matrix
from ..resampling import spline_matrix
from ..separable import apply_along, as_tensor


@dataclass(frozen=True)
class Subject:
    """One training subject: intensity (z, y, x) float32 with the brain in [0, 1], and its tissue labels, uint8."""

    name: str
    intensity: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class SimulationConfig:
    """What varies from patch to patch, each drawn uniformly between its bounds.

    patch: side of a patch, voxels.
    factor: slice spacing over voxel spacing, along one random axis.
    inplane_factor: the same for the other two axes (1 = as sharp as the output).
    zoom: voxels per voxel of the training volume, and its difference between axes.
    gamma: exponent of the contrast; tissue_shift: standard deviation of each tissue's change of intensity.
    bias: largest log-amplitude of the smooth bias field. noise: largest standard deviation of the noise.
    scale: error of the intensity normalization. background: chance that something surrounds the brain.
    """

    patch: int = 64
    label: int = 5
    factor: tuple[float, float] = (2.0, 6.5)
    inplane_factor: tuple[float, float] = (1.0, 1.4)
    zoom: tuple[float, float] = (0.9, 1.6)
    anisotropic_zoom: float = 0.08
    gamma: tuple[float, float] = (0.65, 1.5)
    tissue_shift: float = 0.06
    bias: float = 0.2
    noise: float = 0.03
    scale: tuple[float, float] = (0.8, 1.15)
    background: float = 0.25


def simulate_patch(subject: Subject, config: SimulationConfig, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Draw one training patch.

    Returns:
        (input, intensity, cortex), each (1, patch, patch, patch) float32: the interpolated low resolution, the high
        resolution on the same scale, and the probability of the label in each voxel.
    """
    factor = rng.uniform(*config.factor)
    margin = int(np.ceil(2.5 * factor))
    side = config.patch + 2 * margin
    zoom = rng.uniform(*config.zoom) * np.exp(rng.uniform(-1, 1, 3) * config.anisotropic_zoom)
    crop, labels = _random_crop(subject, np.ceil(side / zoom).astype(int) + 2, config.label, rng)
    crop, labels = _random_orientation(crop, labels, rng)

    intensity = _random_contrast(torch.from_numpy(crop), torch.from_numpy(labels), config, rng)
    cortex = torch.from_numpy((labels == config.label).astype(np.float32))
    for axis in range(3):
        positions = (np.arange(side) - side / 2) / zoom[axis] + (intensity.shape[axis] - 1) / 2
        matrix = as_tensor(spline_matrix(intensity.shape[axis], positions), intensity)
        intensity, cortex = apply_along(intensity, matrix, axis), apply_along(cortex, matrix, axis)
    intensity, cortex = intensity.clamp_(min=0), cortex.clamp_(0, 1)

    inner = (slice(margin, margin + config.patch),) * 3
    low = _observe(intensity, factor, config, rng)
    return low[inner][None], intensity[inner][None], cortex[inner][None]


def _random_crop(
    subject: Subject, size: np.ndarray, label: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a box around a random voxel, of the wanted label three times out of four; zero outside the volume."""
    target = subject.labels == label if rng.random() < 0.75 else subject.labels > 0
    voxels = np.flatnonzero(target)
    centre = np.array(np.unravel_index(voxels[rng.integers(len(voxels))], target.shape))
    start = centre - size // 2 + rng.integers(-8, 9, 3)
    result = []
    for volume in (subject.intensity, subject.labels):
        box = np.zeros(size, volume.dtype)
        low, high = np.maximum(start, 0), np.minimum(start + size, volume.shape)
        if np.all(high > low):
            source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            place = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
            box[place] = volume[source]
        result.append(box)
    return result[0], result[1]


def _random_orientation(
    crop: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One of the cube's 48 symmetries: volumes arrive with any order and sense of axes."""
    order = rng.permutation(3)
    flipped = tuple(int(a) for a in np.flatnonzero(rng.random(3) < 0.5))
    return tuple(np.ascontiguousarray(np.flip(v.transpose(order), flipped)) for v in (crop, labels))  # type: ignore


def _random_contrast(
    intensity: torch.Tensor, labels: torch.Tensor, config: SimulationConfig, rng: np.random.Generator
) -> torch.Tensor:
    """Another scanner: tissue intensities, contrast curve, surroundings, bias field and scale."""
    shift = torch.from_numpy(rng.normal(0, config.tissue_shift, 256).astype(np.float32))
    shift[0] = 0
    inside = (labels > 0).float()
    intensity = intensity + _smooth(shift[labels.long()])
    if rng.random() < config.background:
        level = torch.from_numpy(rng.uniform(0.0, 0.9, (1, 1, 5, 5, 5)).astype(np.float32))
        around = F.interpolate(level, size=intensity.shape, mode="trilinear", align_corners=True)[0, 0]
        gap = _smooth(_smooth(inside))  # the surroundings do not touch the cortex
        intensity = intensity + around * rng.uniform(0.2, 1.0) * (1 - gap) * (1 - inside)
    intensity = intensity.clamp(min=0) ** rng.uniform(*config.gamma)
    field = torch.from_numpy(rng.uniform(-config.bias, config.bias, (1, 1, 4, 4, 4)).astype(np.float32))
    field = F.interpolate(field, size=intensity.shape, mode="trilinear", align_corners=True)[0, 0]
    return intensity * field.exp() * rng.uniform(*config.scale)


def _smooth(volume: torch.Tensor) -> torch.Tensor:
    """Mean over 3^3 voxels: tissue borders are never sharper than a voxel."""
    return F.avg_pool3d(volume[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]


def _observe(
    intensity: torch.Tensor, factor: float, config: SimulationConfig, rng: np.random.Generator
) -> torch.Tensor:
    """Eq. 1 and S-up on one box: thick slices along axis 0, noise, spline interpolation back."""
    side = intensity.shape[0]
    factors = [factor] + [rng.uniform(*config.inplane_factor) if rng.random() < 0.3 else 1.0 for _ in range(2)]
    factors = [factors[k] for k in rng.permutation(3)]
    low = intensity
    for axis, f in enumerate(factors):
        if f > 1:
            low = apply_along(low, as_tensor(sampling_matrix(side, round(side / f), f, f), low), axis)
    noise = rng.standard_normal(tuple(low.shape), np.float32) * rng.uniform(0, config.noise)
    low = (low + torch.from_numpy(noise)).clamp_(min=0)
    for axis, f in enumerate(factors):
        if f > 1:
            positions = (np.arange(side) + 0.5) / f - 0.5
            low = apply_along(low, as_tensor(spline_matrix(low.shape[axis], positions), low), axis)
    return low
