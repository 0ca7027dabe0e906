"""Training volumes that live on the device: intensities ready for sharp resampling, label maps as shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...transforms.line_operators import spline_matrix
from ...transforms.separable import apply_along, as_tensor
from .volume_pack import PackedVolume

_FINER = 2  # linear interpolation of a volume that splines made twice as fine keeps what that of the volume blurs


@dataclass(frozen=True)
class DeviceVolume:
    """One brain on the device.

    intensity: (1, 1, 2z, 2y, 2x) float32, interpolated by cubic splines; None for a label map alone.
    shares: (1, C, z, y, x) float32, the share of each class and, last, of what is neither background nor a class.
    medians: (C,), median intensity of each share's voxels. centres: (n, 3) voxel indices (z, y, x) of each class that
    has any, the first class first. weight: how often it is drawn. averaged: see `volume_pack.PackedVolume`.
    chances: how often each of `centres` is drawn; None: see `device_config.DeviceSimulation.label_share`.
    """

    name: str
    intensity: torch.Tensor | None
    shares: torch.Tensor
    medians: torch.Tensor
    centres: list[np.ndarray]
    weight: float
    averaged: bool
    chances: np.ndarray | None = None


def to_device(volume: PackedVolume, classes: Sequence[tuple[int, ...]], device: torch.device) -> DeviceVolume:
    """Put a volume onto the device.

    Args:
        volume: see `volume_pack`.
        classes: the labels of each class; every other label but 0 counts as surroundings.
        device: where to put it.
    """
    table = np.zeros(256, np.int64)
    table[1:] = len(classes) + 1
    for number, labels in enumerate(classes, start=1):
        table[list(labels)] = number
    numbers = table[volume.labels]
    shares = torch.stack([torch.from_numpy(numbers == k) for k in range(1, len(classes) + 2)]).float()
    medians = [
        0.0 if volume.intensity is None else _median(volume.intensity[numbers == k]) for k in range(1, len(classes) + 2)
    ]
    centres = [np.argwhere(numbers == k) for k in range(1, len(classes) + 1)]
    return DeviceVolume(
        volume.name,
        None if volume.intensity is None else _finer(volume.intensity, device)[None, None],
        shares[None].to(device),
        torch.tensor(medians, device=device),
        [voxels for voxels in centres if len(voxels)],
        volume.weight,
        volume.averaged,
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0


def _finer(intensity: np.ndarray, device: torch.device) -> torch.Tensor:
    """Twice as many voxels along each axis, over the same field of view."""
    volume = torch.from_numpy(np.ascontiguousarray(intensity)).to(device)
    for axis in range(3):
        length = intensity.shape[axis]
        positions = (np.arange(_FINER * length) + 0.5) / _FINER - 0.5
        volume = apply_along(volume, as_tensor(spline_matrix(length, positions), volume), axis)
    return volume.clamp_(min=0)
