"""The voxel grid: where the voxels of a volume lie in space (LPS, millimetres).

Along one axis, a grid of n voxels with spacing s covers the segment between its outer faces:

    |  0  |  1  |  2  |  ...  | n-1 |        faces (field of view): -s/2 ... (n - 1/2) s
       ^ origin: the *centre* of voxel 0

Two grids of one scan share the faces, not the centres. Aligning the first and last centres instead
would stretch the anatomy (by 2.5 % for 40 slices), so `output_grid` never does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import SimpleITK as sitk

from ..utils.triples import triple

_MOST_FINER = 20.0  # times; the thickest slices that any model was trained on are 13 times the result's voxels
_MOST_VOXELS = 1 << 30  # of a result: 4 GB for each of its images
_TOLERANCE = 1e-3  # mm for positions, and fractions for direction cosines: scanners round their headers
_VOXELS_APART = 0.01  # between voxels that count as the same place


@dataclass(frozen=True)
class Grid:
    """A voxel grid; every tuple is in (x, y, z) order.

    size: voxels per axis. spacing: mm. origin: LPS position in mm of the first voxel's centre.
    direction: 3 x 3 direction cosines, row-major; column k is the LPS direction of axis k.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Grid:
        """The grid of a 3D SimpleITK image.

        Raises:
            ValueError: the image is not three-dimensional.
        """
        if image.GetDimension() != 3:
            raise ValueError(f"A 3D volume is needed, but this image has {image.GetDimension()} dimensions.")
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def extent(self) -> tuple[float, ...]:
        """Field of view in mm per axis, from outer face to outer face."""
        return tuple(n * s for n, s in zip(self.size, self.spacing, strict=True))

    def image(self, array: np.ndarray) -> sitk.Image:
        """Wrap an array (z, y, x) as a SimpleITK image on this grid.

        Raises:
            ValueError: the array's shape is not this grid's.
        """
        if array.shape != self.shape:
            raise ValueError(f"An array of shape {self.shape} is needed on this grid, not {array.shape}.")
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    def index_of(self, other: Grid) -> np.ndarray:
        """Where the first voxel of `other` lies in this grid, as a continuous index (x, y, z).

        Only meaningful when both grids have the same direction, see `same_direction`.
        """
        axes = np.array(self.direction).reshape(3, 3)
        return axes.T @ (np.array(other.origin) - np.array(self.origin)) / np.array(self.spacing)

    def same_direction(self, other: Grid) -> bool:
        """Whether both grids have the same axes in space."""
        return bool(np.allclose(self.direction, other.direction, atol=_TOLERANCE))

    def matches(self, other: Grid) -> bool:
        """Whether both grids put every voxel at the same place (within 0.001 mm at the origin)."""
        return (
            self.size == other.size
            and bool(np.allclose(self.spacing, other.spacing, atol=1e-4))
            and bool(np.allclose(self.origin, other.origin, atol=_TOLERANCE))
            and self.same_direction(other)
        )

    def common(self, other: Grid) -> Grid:
        """The voxels that two grids share, when they differ only in where they begin and end.

        Raises:
            ValueError: other axes or spacing, voxels that lie between those of the other grid, or none in common.
        """
        start = self.index_of(other)
        whole = np.round(start)
        if not self.same_direction(other) or not np.allclose(self.spacing, other.spacing, atol=1e-4):
            raise ValueError("The two grids have other axes or another spacing.")
        if np.abs(start - whole).max() > _VOXELS_APART:
            raise ValueError("The voxels of one grid lie between those of the other.")
        low = np.maximum(whole, 0)
        high = np.minimum(whole + np.array(other.size), self.size)
        if np.any(high <= low):
            raise ValueError("The two grids have no voxel in common.")
        axes = np.array(self.direction).reshape(3, 3)
        origin = np.array(self.origin) + axes @ (low * np.array(self.spacing))
        size = triple(int(n) for n in high - low)
        return Grid(size, self.spacing, triple(map(float, origin)), self.direction)


def auto_spacing(grid: Grid, trained: tuple[float, float]) -> float:
    """The isotropic spacing that suits a scan: that of its voxels inside the slices, within what a model can make.

    Args:
        grid: of the scan. trained: mm, from and to, see `ModelCard.training_spacing`.

    Returns:
        mm. Of unequal sides inside the slices the larger one counts: nothing finer was measured.
    """
    inplane = sorted(grid.spacing)[1]
    return round(min(max(inplane, trained[0]), trained[1]), 4)  # headers store float32


def check_output(grid: Grid, output: Grid) -> None:
    """Refuse a result that makes no sense of its scan, before anything of its size is allocated.

    Args:
        grid: of the scan. output: of the result.

    Raises:
        ValueError: voxels that are far finer than those of the scan, or coarser, or too many of them.
    """
    thick, fine = max(grid.spacing), min(output.spacing)
    if thick > _MOST_FINER * fine:
        raise ValueError(
            f"Voxels of {fine:.3g} mm cannot be made from slices of {thick:.3g} mm, {thick / fine:.0f} times as thick "
            f"(at most {_MOST_FINER:.0f} times); choose a coarser output spacing, or check the scan's header."
        )
    if fine > (1 + _TOLERANCE) * thick:
        raise ValueError(
            f"The output spacing of {fine:.3g} mm is coarser than the scan's slices of {thick:.3g} mm, and nothing is "
            "left to super-resolve; choose a finer one."
        )
    if (voxels := prod(output.size)) > _MOST_VOXELS:
        size = " x ".join(map(str, output.size))
        raise ValueError(
            f"A result of {size} voxels ({voxels / 1e9:.1f} billion) is too large; choose a coarser output spacing, or "
            "crop the scan."
        )


def output_grid(grid: Grid, spacing: float | Sequence[float]) -> Grid:
    """The grid with another spacing and the same field of view and direction.

    The near outer faces stay exactly where they are: origin_out = origin + D (spacing_out - spacing) / 2.
    The far faces stay within half an output voxel when the extent is not a multiple of the spacing.

    Args:
        grid: the input's grid.
        spacing: output spacing in mm, one number (isotropic) or three (x, y, z).

    Raises:
        ValueError: a spacing that is not one or three positive numbers, or larger than the field of view.
    """
    if np.shape(spacing) not in ((), (1,), (3,)):
        raise ValueError(f"The output spacing is one number or three, in mm, not {spacing}.")
    wanted = np.broadcast_to(np.asarray(spacing, float), 3)
    if not np.all(np.isfinite(wanted)) or np.any(wanted <= 0):
        raise ValueError(f"The output spacing must be positive, in mm, not {spacing}.")
    if np.any(wanted > np.array(grid.extent)):
        extent = " x ".join(f"{e:.1f}" for e in grid.extent)
        raise ValueError(f"The output spacing {spacing} mm is larger than the field of view of {extent} mm.")
    size = triple(max(1, round(e / s)) for e, s in zip(grid.extent, wanted, strict=True))
    axes = np.array(grid.direction).reshape(3, 3)
    origin = np.array(grid.origin) + axes @ (wanted - np.array(grid.spacing)) / 2
    return Grid(size, triple(map(float, wanted)), triple(map(float, origin)), grid.direction)


def place_in_words(point: Sequence[float]) -> str:
    """A place as people say it and 3D Slicer shows it: "12 mm left, 5 mm anterior, 30 mm superior" of the origin.

    Args:
        point: LPS, mm; rounded to whole millimetres.
    """
    sides = (("left", "right"), ("posterior", "anterior"), ("superior", "inferior"))
    return ", ".join(f"{abs(p):.0f} mm {side[bool(p < 0)]}" for p, side in zip(point, sides, strict=True))
