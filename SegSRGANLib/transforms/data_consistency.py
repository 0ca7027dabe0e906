"""Data consistency: the forward model from a result's grid to its scan, and a result made to agree with the scan.

Whatever the true anatomy X is, the observation model Y = H B X + N (the paper's eq. 1, `acquisition`) must lead from it
back to the scan Y. Both are compared where the scan is coarse: its own voxels along the axes that are coarser than the
result, the result's voxels along the others, onto which the scan is interpolated just as before prediction.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..utils.triples import triple
from .components import Box, bounding_box
from .line_operators import THICK, damped_inverse, damping, sampling_matrix
from .resample import resample_labels, upsample
from .separable import apply_along, as_tensor

_SAME_SPACING = 1.0001  # headers are rounded
FOREGROUND = 0.1  # of the intensity range: below lies air
DEVIATIONS_PER_MAD = 1.4826  # standard deviations per median absolute deviation


class ForwardModel:
    """The operator A = H B from a result's grid to the comparison grid, its adjoint and its damped inverse."""

    def __init__(self, scan: Grid, result: Grid, coarser: float = _SAME_SPACING) -> None:
        """Build one matrix per coarsened axis.

        Args:
            scan: the measured grid. result: the super-resolved grid, with the same axes and near faces.
            coarser: spacing, relative to the result's, from which an axis counts as coarsened.

        Raises:
            ValueError: other axes.
        """
        if not scan.same_direction(result):
            raise ValueError("The scan and its result must have the same axes to be compared.")
        self._grids = scan, result
        self.coarse = [s > r * coarser for s, r in zip(scan.spacing, result.spacing, strict=True)]
        self.grid = _comparison_grid(scan, result, self.coarse)
        self._matrices = {
            axis: sampling_matrix(result.size[axis], scan.size[axis], step, step)
            for axis, step in enumerate(s / r for s, r in zip(scan.spacing, result.spacing, strict=True))
            if self.coarse[axis]
        }

    def thick(self) -> ForwardModel:
        """The same for thick slices only: along the other axes the scan counts as being as fine as the result."""
        model = ForwardModel(*self._grids, THICK)
        return self if model.coarse == self.coarse else model

    def apply(self, volume: torch.Tensor) -> torch.Tensor:
        """A X: result's shape (z, y, x) to comparison shape."""
        return self._along_axes(volume, self._matrices)

    def adjoint(self, volume: torch.Tensor) -> torch.Tensor:
        """A^T Y: comparison shape to result's shape, the exact transpose."""
        return self._along_axes(volume, {axis: matrix.T for axis, matrix in self._matrices.items()})

    def inverse(self, volume: torch.Tensor, ridge: float = 0.0) -> torch.Tensor:
        """A^T (A A^T + (ridge s)^2)^-1 Y, axis by axis because A is separable; s is A's largest singular value.

        Without a ridge it is A^+ Y, the smallest volume with A X = Y. What A hardly lets through, s_k < ridge s, comes
        back damped, and with it the noise (Tikhonov).
        """
        return self._along_axes(
            volume, {axis: damped_inverse(matrix, ridge) for axis, matrix in self._matrices.items()}
        )

    @staticmethod
    def _along_axes(volume: torch.Tensor, matrices: dict[int, np.ndarray]) -> torch.Tensor:
        for axis, matrix in matrices.items():
            volume = apply_along(volume, as_tensor(np.ascontiguousarray(matrix), volume), 2 - axis)
        return volume


def _comparison_grid(scan: Grid, result: Grid, coarse: list[bool]) -> Grid:
    """The scan's voxels along the coarse axes, the result's along the others."""
    spacing = tuple(s if c else r for s, r, c in zip(scan.spacing, result.spacing, coarse, strict=True))
    size = tuple(s if c else r for s, r, c in zip(scan.size, result.size, coarse, strict=True))
    first = scan.index_of(result) * np.array(scan.spacing)  # mm from the scan's first voxel, along the axes
    axes = np.array(scan.direction).reshape(3, 3)
    origin = np.array(scan.origin) + axes @ np.where(coarse, 0.0, first)
    return replace(scan, size=size, spacing=spacing, origin=tuple(map(float, origin)))


class DataConsistency:
    """A scan to which results are brought to agreement; see `enforce_data_consistency`."""

    def __init__(self, scan: sitk.Image, forward: ForwardModel) -> None:
        """Take a scan and the forward model from its results' grid; what they need is computed at the first use."""
        self._scan = scan
        self._forward = forward.thick()

    @cached_property
    def _measured(self) -> torch.Tensor:
        """The scan where it is compared, float64."""
        return torch.from_numpy(sitk.GetArrayFromImage(upsample(self._scan, self._forward.grid))).double()

    @cached_property
    def _ridge(self) -> float:
        return damping(noise_level(self._scan))

    def enforce(self, volume: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
        """Bring a volume to agreement with the scan.

        Args:
            volume: (z, y, x) float32 in the scan's units. inside: bool; elsewhere the volume stays as it is.
        """
        if not any(self._forward.coarse) or (inside is not None and not inside.any()):
            return volume
        box = self._lines(inside)
        result = torch.from_numpy(volume[box]).double()
        result += self._forward.inverse(self._measured[box] - self._forward.apply(result), self._ridge)
        after = result.float().numpy()
        if inside is None:
            return after
        whole = volume.copy()
        np.copyto(whole[box], after, where=inside[box])
        return whole

    def _lines(self, inside: np.ndarray | None) -> Box:
        """The part to compute: whole lines along the coarse axes, and along the others what lies inside."""
        everything = triple([slice(None)] * 3)
        if inside is None:
            return everything
        coarse = self._forward.coarse[::-1]  # (z, y, x)
        return triple([slice(None) if c else part for c, part in zip(coarse, bounding_box(inside), strict=True)])


def enforce_data_consistency(scan: sitk.Image, sr: sitk.Image, mask: sitk.Image | None = None) -> sitk.Image:
    """Bring a result to agreement with the scan, as far as the scan's noise allows: X + A^T (A A^T + r^2)^-1 (Y - A X).

    Without noise that is nearly the limit of iterative back-projection (Irani and Peleg, 1991), reached in one step
    because A is separable. The ridge r grows with the noise that `noise_level` finds, so that the scan's signal comes
    back and its noise does not. Details that the scan cannot tell stay as the network made them. Only axes with thick
    slices count; along the others the scan says it all. Without any the result stays as it is.

    Args:
        scan: the volume that was super-resolved. sr: the result.
        mask: on any grid; outside, the result stays as it is.

    Returns:
        float32, on the result's grid.

    Raises:
        ValueError: other axes.
    """
    grid, inside = Grid.of(sr), None
    consistency = DataConsistency(scan, ForwardModel(Grid.of(scan), grid))
    if mask is not None:
        inside = sitk.GetArrayFromImage(resample_labels(sitk.Cast(mask != 0, sitk.sitkUInt8), grid)) > 0
    return grid.image(consistency.enforce(as_floats(sr), inside))


def noise_level(scan: sitk.Image) -> float:
    """Standard deviation of the noise, relative to the 99.5th percentile of the scan; 0 where nothing can be measured.

    The median absolute diagonal difference of 2 x 2 voxels inside the slices, where neighbours are nearest (Donoho and
    Johnstone, 1994): smooth anatomy cancels in it, edges are few. Of the foreground only.
    """
    values = sitk.GetArrayFromImage(scan)
    values = np.moveaxis(values, 2 - int(np.argmax(scan.GetSpacing())), 0)
    corners = [values[:, y, x] for y in (slice(-1), slice(1, None)) for x in (slice(-1), slice(1, None))]
    positive = values[values > 0]
    if positive.size == 0 or corners[0].size == 0:
        return 0.0
    scale = float(np.percentile(positive, 99.5))
    foreground = np.minimum.reduce(corners) > FOREGROUND * scale
    if not foreground.any():
        return 0.0
    difference = (corners[0] - corners[1] - corners[2] + corners[3])[foreground] / 2
    return DEVIATIONS_PER_MAD * float(np.median(np.abs(difference))) / scale


def as_floats(image: sitk.Image) -> np.ndarray:
    """The voxels of an image, (z, y, x) float32."""
    return sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
