"""Acquisition consistency: does a super-resolved volume agree with the scan that it was made from?

The scan Y is all that was measured. Whatever the true anatomy X is, the observation model Y = H B X + N (the paper's
eq. 1, `acquisition`) must lead from it back to Y. So the model is applied to the super-resolved volume and compared
with the scan: where both differ by more than noise, the network invented or erased anatomy. No truth is needed.

The comparison is made where the scan is coarse: its own voxels along the axes that are coarser than the result, the
result's voxels along the others, onto which the scan is interpolated just as before prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..transforms.components import bounding_box
from ..transforms.data_consistency import DEVIATIONS_PER_MAD, FOREGROUND, ForwardModel, as_floats
from ..transforms.line_operators import sampling_matrix
from ..transforms.resample import resample_labels, upsample
from ..transforms.separable import apply_along, as_tensor

_WINDOW = 4.0  # mm, FWHM over which residuals are averaged: noise averages out, anatomy does not
# Floor on the local deviation, as a share of the local contrast: avoids false alarms when residuals are uniformly
# small. Sound results on Fidon et al. (2021) reach 9 times this beside the rim of a mask, where what lies outside is
# not brought to agreement.
_LEAST_DEVIATION = 0.17


@dataclass(frozen=True)
class Consistency:
    """How a super-resolved volume agrees with its scan.

    z_map: float32, on the scan's slices: the locally averaged difference (result - scan) relative to the local
        contrast, in robust standard deviations of its usual values. Positive where the result is too bright.
    psnr: dB over the foreground; None when both agree exactly. Data range: the 99.5th percentile of the scan.
    bias: mean difference in percent of that range.
    z_max: largest absolute value of the map; position: its place, LPS mm.
    slice_z_max: the largest robust z-score of a slice's root mean square difference; slice: its index, counted from 0
        along the coarsest axis. Finds a slice that differs from the scan as a whole.
    region: where all this was measured, "mask" or "foreground".
    """

    z_map: sitk.Image
    psnr: float | None
    bias: float
    z_max: float
    position: tuple[float, float, float]
    slice_z_max: float
    slice: int
    region: str

    def figures(self) -> dict[str, Any]:
        """Everything but the map, as rounded JSON values."""
        return {
            "psnr": None if self.psnr is None else round(self.psnr, 3),
            "bias_percent": round(self.bias, 3),
            "z_max": round(self.z_max, 2),
            "z_max_position_lps": [round(p, 1) for p in self.position],
            "slice_z_max": round(self.slice_z_max, 2),
            "slice": self.slice,
            "region": self.region,
        }


def acquisition_consistency(
    scan: sitk.Image,
    sr: sitk.Image,
    mask: sitk.Image | None = None,
    forward: ForwardModel | None = None,
    scale: float | None = None,
) -> Consistency:
    """Compare the simulated acquisition of a super-resolved volume with the scan.

    Args:
        scan: the volume that was super-resolved (after bias correction, if there was any).
        sr: the result, with the scan's axes and near faces (`grid.output_grid`).
        mask: on any grid; only there the figures are measured. By default, everything but air.
        forward: from the result's grid to the scan's; made here by default.
        scale: data range; by default the 99.5th percentile of what is positive in the scan.

    Raises:
        ValueError: other axes, or no positive intensity to compare.
    """
    operator = forward or ForwardModel(Grid.of(scan), Grid.of(sr))
    measured = sitk.GetArrayFromImage(upsample(scan, operator.grid))
    simulated = operator.apply(torch.from_numpy(as_floats(sr))).numpy()
    difference = simulated - measured
    scale = scale or intensity_range(measured)
    inside = _inside(measured > FOREGROUND * scale, mask, operator.grid)
    error = float(np.mean(difference[inside] ** 2, dtype=np.float64))
    z = np.zeros_like(difference)
    box = bounding_box(inside)  # what lies outside of it has no weight
    if difference.any():  # a volume compared with itself takes no time
        z[box] = _local_z(*(array[box] for array in (difference, measured, inside)), operator.grid.spacing)
    worst = np.unravel_index(np.argmax(np.abs(z)), z.shape)
    z_map = operator.grid.image(z)
    slice_z, slice_index = _worst_slice(difference, inside, operator.grid)
    return Consistency(
        z_map=z_map,
        psnr=float(10 * np.log10(scale**2 / error)) if error > 0 else None,
        bias=100 * float(np.mean(difference[inside], dtype=np.float64)) / scale,
        z_max=float(np.abs(z[worst])),
        position=z_map.TransformIndexToPhysicalPoint([int(i) for i in reversed(worst)]),
        slice_z_max=slice_z,
        slice=slice_index,
        region="foreground" if mask is None else "mask",
    )


def _inside(foreground: np.ndarray, mask: sitk.Image | None, grid: Grid) -> np.ndarray:
    """Where to compare: inside the mask, or in the foreground when there is no mask, or nothing of it on the grid."""
    if mask is None:
        return foreground
    carried = sitk.GetArrayFromImage(resample_labels(sitk.Cast(mask != 0, sitk.sitkUInt8), grid)) > 0
    return carried if carried.any() else foreground


def intensity_range(measured: np.ndarray) -> float:
    """The 99.5th percentile of what is positive.

    Raises:
        ValueError: nothing is.
    """
    positive = measured[measured > 0]
    if positive.size == 0:
        raise ValueError("The scan has no positive intensity to compare its result with.")
    return float(np.percentile(positive, 99.5))


def _local_z(
    difference: np.ndarray, measured: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...]
) -> np.ndarray:
    """Differences averaged over a Gaussian window inside the foreground, in robust standard deviations; 0 outside.

    Beside strong contrasts any interpolation is off, so a difference counts in proportion to the scan's own standard
    deviation in the window; the median of that keeps flat regions from counting without bound.
    """
    weights = np.maximum(_blurred(inside.astype(np.float32), spacing), 1e-3)

    def local_mean(volume: np.ndarray) -> np.ndarray:
        return _blurred(np.where(inside, volume, 0).astype(np.float32), spacing) / weights

    variance = np.maximum(local_mean(measured**2) - local_mean(measured) ** 2, 0)
    contrast = np.sqrt(variance + np.median(variance[inside]))
    # without any contrast, as in a mask of one voxel, there is nothing to compare with
    local = np.divide(local_mean(difference), contrast, out=np.zeros_like(contrast), where=contrast > 0)
    middle = np.median(local[inside])
    deviation = DEVIATIONS_PER_MAD * float(np.median(np.abs(local[inside] - middle)))
    z = (local - middle) / max(deviation, _LEAST_DEVIATION)
    return np.where(inside, z, 0).astype(np.float32)


def _blurred(array: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """A Gaussian window along every axis; an axis with voxels larger than the window is hardly touched."""
    volume = torch.from_numpy(array)
    for axis in range(3):
        n = array.shape[2 - axis]
        matrix = sampling_matrix(n, n, 1.0, max(_WINDOW / spacing[axis], 0.1))
        volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    return volume.numpy()


def _worst_slice(difference: np.ndarray, inside: np.ndarray, grid: Grid) -> tuple[float, int]:
    """Robust z-score of the most different slice, on a logarithmic scale, among slices that cut enough anatomy."""
    axis = 2 - max(range(3), key=lambda k: grid.spacing[k])
    others = tuple({0, 1, 2} - {axis})
    counts = inside.sum(axis=others)
    squares = np.where(inside, difference, 0).astype(np.float64) ** 2
    power = squares.sum(axis=others) / np.maximum(counts, 1)
    kept = np.flatnonzero((counts > 0.2 * counts.max()) & (power > 0))
    if len(kept) < 4:
        return 0.0, int(np.argmax(power))
    logarithm = np.log(power[kept]) / 2
    deviation = DEVIATIONS_PER_MAD * float(np.median(np.abs(logarithm - np.median(logarithm))))
    z = (logarithm - np.median(logarithm)) / max(deviation, 0.05)
    return float(z.max()), int(kept[np.argmax(z)])
