"""What varies from patch to patch in a simulation on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_REACH = 2.5  # slices on each side of a patch that its observation depends on


@dataclass(frozen=True)
class DeviceSimulation:
    """What varies from patch to patch; chances and bounds of uniform draws unless said otherwise.

    patch: side, voxels. factor, usual_factor: slice spacing in voxels, the latter for half of the patches.
    inplane_factor: of the other axes, three times in ten. noise: largest standard deviation of the acquisition.
    zoom, usual_zoom: voxels per voxel of the training volume. consistent: input in agreement with the slices.
    synthetic: share of contrasts made from the label map (always where there is no image).
    permuted: chance of any of the cube's 48 orientations. deformed: of a rotation up to `rotation` degrees and a bend
    of `elastic` voxels. blurred, sharpened: of a Gaussian blur of up to `blur` voxels, or of the opposite for averages.
    masked: of an input cut by a brain mask after interpolation, as prediction does. stripped: of a brain cut out of the
    volume itself, at any depth around the cortex. surrounded: of random surroundings where the volume has none.
    stretched: 1 for zooms that differ between the axes, 0 for equal ones. scan_axes: chances of thick slices along
    each array axis of a scan; the first is often blurred already, by overlapping slices. label_share: of patches around
    a voxel of the first class; the others are around any class, each equally often. average_weight: of the intensities
    of averages. border_weight: of voxels at tissue borders of averages. fluid: indices of the shares of the fluid
    around the brain. hard_edge: of intensities that end at the brain's last voxel.
    bright, middle, dark: indices of the shares by their usual order in T2-weighted images.
    """

    patch: int = 64
    factor: tuple[float, float] = (1.5, 6.5)
    usual_factor: tuple[float, float] = (1.8, 3.6)
    inplane_factor: tuple[float, float] = (1.0, 1.4)
    ratio: tuple[float, float] = (0.9, 1.1)
    noise: float = 0.03
    zoom: tuple[float, float] = (0.8, 1.7)
    usual_zoom: tuple[float, float] = (0.92, 1.1)
    consistent: bool = True
    synthetic: float = 0.4
    permuted: float = 0.4
    deformed: float = 0.6
    rotation: float = 15.0
    elastic: float = 4.0
    blurred: float = 0.25
    sharpened: float = 0.5
    blur: float = 1.2
    masked: float = 0.35
    stripped: float = 0.25
    surrounded: float = 0.25
    gamma: tuple[float, float] = (0.7, 1.4)
    scale: tuple[float, float] = (0.75, 1.25)
    bias: float = 0.25
    tissue_shift: float = 0.05
    label_share: float = 0.45
    border_weight: float = 0.5
    average_weight: float = 0.6
    stretched: float = 1.0
    scan_axes: tuple[float, float, float] = (0.2, 0.4, 0.4)
    fluid: tuple[int, ...] = (3,)
    hard_edge: float = 0.0
    bright: tuple[int, ...] = (2, 3)
    middle: tuple[int, ...] = (1,)
    dark: tuple[int, ...] = (0, 4, 5, 6)
    inplane_draws: int = 64
    slice_draws: int = 256

    @property
    def margin(self) -> int:
        """Voxels around a patch."""
        return int(np.ceil(_REACH * self.factor[1]))

    @property
    def side(self) -> int:
        """Voxels of a patch with its margin."""
        return self.patch + 2 * self.margin
