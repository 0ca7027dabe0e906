"""What the segmentation systems share: checked input, cut to the brain, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..transforms.components import Box, bounding_box


@dataclass(frozen=True)
class WarpedAtlas:
    """An atlas on the grid of the volume to segment: image float32, labels integers, both 0 outside the atlas."""

    name: str
    image: sitk.Image
    labels: sitk.Image


@dataclass(frozen=True)
class Evidence:
    """The brain's surroundings, cut out of a volume and of its registered atlases.

    image: (z, y, x) float32. mask: bool. images: (atlas, z, y, x) float32. labels: (atlas, z, y, x) integers.
    grid: of the whole volume. box: where the arrays lie in it.
    """

    image: np.ndarray
    mask: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    grid: Grid
    box: Box

    def whole(self, found: np.ndarray) -> sitk.Image:
        """A boolean array of the box as an image of the whole volume, uint8 0 or 1, 0 outside the mask."""
        full = np.zeros(self.grid.shape, np.uint8)
        full[self.box] = found & self.mask
        return self.grid.image(full)


def gather(
    image: sitk.Image, warped: Sequence[WarpedAtlas], label: int, mask: sitk.Image | None, margin: int
) -> Evidence:
    """Check and cut the input of a segmentation.

    Args:
        image: the volume to segment.
        warped: its registered atlases, from `registration.register_atlases`.
        label: the wanted tissue's number.
        mask: where to segment; by default where at least half of the atlases have a tissue.
        margin: voxels to keep around the mask.

    Raises:
        ValueError: no atlas, another grid, an empty mask, or no atlas with the label inside the mask.
    """
    grid = Grid.of(image)
    labels = stacked_labels(warped, label, grid)
    if mask is not None and not grid.matches(Grid.of(mask)):
        raise ValueError("The mask is on another grid than the volume; resample it to the volume's grid.")
    inside = (labels > 0).mean(0) >= 0.5 if mask is None else sitk.GetArrayViewFromImage(mask) > 0
    box = bounding_box(inside, margin)
    if not (labels[(slice(None), *box)][:, inside[box]] == label).any():
        raise ValueError(f"No atlas has the label {label} inside the mask; check the mask and the registration.")
    intensity = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))[box]
    images = np.stack([sitk.GetArrayViewFromImage(atlas.image)[box] for atlas in warped]).astype(np.float32)
    return Evidence(intensity, inside[box], images, labels[(slice(None), *box)], grid, box)


def stacked_labels(warped: Sequence[WarpedAtlas], label: int, grid: Grid | None = None) -> np.ndarray:
    """The labels of the registered atlases, (atlas, z, y, x).

    Raises:
        ValueError: no atlas, different grids, or no atlas with the label.
    """
    if not warped:
        raise ValueError("There is no registered atlas; give at least one.")
    grid = grid or Grid.of(warped[0].labels)
    for atlas in warped:
        if not (grid.matches(Grid.of(atlas.image)) and grid.matches(Grid.of(atlas.labels))):
            raise ValueError(f"The atlas {atlas.name} is on another grid than the volume; register it to the volume.")
    labels = np.stack([sitk.GetArrayViewFromImage(atlas.labels) for atlas in warped])
    if not (labels == label).any():
        found = ", ".join(map(str, np.unique(labels)[:20].tolist()))
        raise ValueError(f"No atlas has the label {label}; their labels are {found}.")
    return labels
