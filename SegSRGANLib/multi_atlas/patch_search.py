"""The most similar patches of the registered atlases, searched around every voxel at once by shifting whole arrays."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PatchSearch:
    """What is searched, and where. Volumes are padded by patch + search voxels on every side.

    image: (z, y, x) float32. images: (atlas, z, y, x) float32. labels: (atlas, z, y, x) float32, 0 or 1.
    patch, search: half widths of the patch and of the search window, in voxels.
    """

    image: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor
    patch: int
    search: int

    @property
    def margin(self) -> int:
        """Padding in voxels."""
        return self.patch + self.search

    def candidates(self) -> list[tuple[int, int, int, int]]:
        """Every example of a voxel: atlas and shift (z, y, x)."""
        shifts = range(-self.search, self.search + 1)
        return list(itertools.product(range(len(self.images)), shifts, shifts, shifts))

    def offsets(self) -> torch.Tensor:
        """Where the candidates lie in the flattened stack of atlases, relative to the voxel in the flattened volume."""
        depth, height, width = self.image.shape
        found = [((a * depth + z) * height + y) * width + x for a, z, y, x in self.candidates()]
        return torch.tensor(found)

    def patch_offsets(self) -> torch.Tensor:
        """Where the voxels of a patch lie in a flattened volume, relative to its centre."""
        _, height, width = self.image.shape
        steps = range(-self.patch, self.patch + 1)
        return torch.tensor([(z * height + y) * width + x for z, y, x in itertools.product(steps, steps, steps)])

    def distances(self, estimate: torch.Tensor, alpha: float, slices: slice, wanted: torch.Tensor) -> torch.Tensor:
        """Squared distance of augmented patches, (1 - alpha) |I - I_a|^2 + alpha |S - L_a|^2, to every candidate.

        Args:
            estimate: S, the segmentation so far, padded like the image.
            alpha: share of the segmentation, 0 to 1.
            slices: which slices of the unpadded volume.
            wanted: bool (slices, y, x) of the unpadded volume: for which voxels.

        Returns:
            (wanted voxels, candidates).
        """
        here = self._window(slices, (0, 0, 0))
        image, mask = self.image[here], estimate[here]
        columns = []
        for atlas, *shift in self.candidates():
            there = self._window(slices, tuple(shift))
            square = (self.images[atlas][there] - image).square_().mul_(1 - alpha)
            if alpha:
                square.add_((self.labels[atlas][there] - mask).square_(), alpha=alpha)
            columns.append(_box_sum(square, 2 * self.patch + 1)[wanted])
        return torch.stack(columns, 1)

    def _window(self, slices: slice, shift: tuple[int, ...]) -> tuple[slice, slice, slice]:
        """A part of the padded volumes: the slices with the patches around them, shifted."""
        _, height, width = self.image.shape
        z, y, x = (self.search + step for step in shift)
        return (
            slice(slices.start + z, slices.stop + z + 2 * self.patch),
            slice(y, height - 2 * self.search + y),
            slice(x, width - 2 * self.search + x),
        )


def _box_sum(volume: torch.Tensor, width: int) -> torch.Tensor:
    """Sum over a cube of `width` voxels, where it lies inside."""
    for axis in range(3):
        length = volume.shape[axis] - width + 1
        volume = sum((volume.narrow(axis, k, length) for k in range(1, width)), volume.narrow(axis, 0, length))
    return volume
