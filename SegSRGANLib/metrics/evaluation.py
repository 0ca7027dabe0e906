"""How far a result is from the truth: PSNR, SSIM, Dice, surface distances, volume bias.

Arrays are (z, y, x); spacing is (x, y, z) in mm, as SimpleITK gives it. The protocol (`evaluate`): both volumes on the
grid of the high-resolution one, divided by its maximum, data range 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..transforms.separable import apply_along
from .surface_distance import surface_distances

_SIGMA = 1.5  # voxels; Wang et al. (2004), as is K1, K2
_RADIUS = 5  # voxels; 3.5 sigma, so an 11-voxel window
_K1, _K2 = 0.01, 0.03
_SLAB = 24  # slices at a time, which bounds the memory of SSIM


def psnr(reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None = None, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / mean squared error).

    Args:
        reference: the truth, (z, y, x).
        estimate: the same shape.
        mask: only where it is not 0; None for the whole volume.
        data_range: largest possible difference of intensity.

    Returns:
        Decibels; infinite when both are equal.

    Raises:
        ValueError: other shapes, or an empty mask.
    """
    _check_shapes(reference, estimate, mask)
    if mask is not None:
        inside = _inside(mask)
        reference, estimate = reference[inside], estimate[inside]
    difference = np.subtract(reference, estimate, dtype=np.float32 if reference.dtype == np.float32 else np.float64)
    error = float(np.mean(np.square(difference, out=difference), dtype=np.float64))
    return float("inf") if error == 0 else float(10 * np.log10(data_range**2 / error))


def ssim(reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None = None, data_range: float = 1.0) -> float:
    """Mean structural similarity (Wang et al. 2004) with a 3D Gaussian window.

    The same value as scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`:
    over the whole volume, the 5 voxels next to its border do not count. In a mask all its voxels count.

    Args:
        reference: the truth, (z, y, x), at least 11 voxels along each axis.
        estimate: the same shape.
        mask: only where it is not 0; None for the whole volume.
        data_range: largest possible difference of intensity.

    Returns:
        Similarity, 1 when both are equal.

    Raises:
        ValueError: other shapes, a volume smaller than the window, or an empty mask.
    """
    return _mean_ssim(ssim_map(reference, estimate, data_range), mask)


def ssim_map(reference: np.ndarray, estimate: np.ndarray, data_range: float = 1.0) -> np.ndarray:
    """Structural similarity at each voxel, volume borders mirrored. Arguments and errors as in `ssim`.

    Returns:
        float32 (z, y, x).
    """
    _check_shapes(reference, estimate, None)
    if min(reference.shape) <= 2 * _RADIUS:
        raise ValueError(f"SSIM needs at least 11 voxels along each axis, but the volume's shape is {reference.shape}.")
    matrices = [torch.from_numpy(_gaussian_matrix(n)) for n in reference.shape]
    depth = reference.shape[0]
    result = np.empty(reference.shape, np.float32)
    for start in range(0, depth, _SLAB):
        stop = min(start + _SLAB, depth)
        rows = slice(max(start - _RADIUS, 0), min(stop + _RADIUS, depth))
        window = [matrices[0][start:stop, rows], *matrices[1:]]
        pair = (torch.from_numpy(volume[rows].astype(np.float64) / data_range) for volume in (reference, estimate))
        result[start:stop] = _similarity(*pair, window).numpy()
    return result


def _similarity(x: torch.Tensor, y: torch.Tensor, window: list[torch.Tensor]) -> torch.Tensor:
    """Equation 13 of Wang et al. (2004) with alpha = beta = gamma = 1 and data range 1."""

    def local_mean(volume: torch.Tensor) -> torch.Tensor:
        for axis, matrix in enumerate(window):
            volume = apply_along(volume, matrix, axis)
        return volume

    mean_x, mean_y = local_mean(x), local_mean(y)
    product, energy = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = local_mean(x * y) - product
    variances = local_mean(x * x + y * y) - energy
    luminance = (2 * product + _K1**2) / (energy + _K1**2)
    return luminance * (2 * covariance + _K2**2) / (variances + _K2**2)


def _gaussian_matrix(length: int) -> np.ndarray:
    """Gaussian filter along an axis as a matrix (length, length); the border mirrors: c b a | a b c."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((length, length))
    rows = np.arange(length)
    for offset, weight in zip(offsets, weights, strict=True):
        columns = rows + offset
        columns = np.where(columns < 0, -1 - columns, np.where(columns >= length, 2 * length - 1 - columns, columns))
        np.add.at(matrix, (rows, columns), weight)
    return matrix


def _mean_ssim(similarity: np.ndarray, mask: np.ndarray | None) -> float:
    if mask is None:
        core = slice(_RADIUS, -_RADIUS)
        return float(similarity[core, core, core].mean(dtype=np.float64))
    _check_shapes(similarity, mask, None)
    return float(similarity[_inside(mask)].mean(dtype=np.float64))


def dice(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Overlap 2 |A and B| / (|A| + |B|) of two binary segmentations (not 0 is inside).

    Returns:
        0 to 1; 1 when both are empty.

    Raises:
        ValueError: other shapes.
    """
    _check_shapes(truth, estimate, None)
    truth, estimate = truth != 0, estimate != 0
    total = np.count_nonzero(truth) + np.count_nonzero(estimate)
    return 2 * np.count_nonzero(truth & estimate) / total if total else 1.0


def volume_bias(truth: np.ndarray, estimate: np.ndarray) -> float:
    """How much larger the estimated volume is, 100 (V_estimate - V_truth) / V_truth.

    Returns:
        Percent, negative when the estimate is too small; nan when the truth is empty.

    Raises:
        ValueError: other shapes.
    """
    _check_shapes(truth, estimate, None)
    wanted = np.count_nonzero(truth)
    return 100 * (np.count_nonzero(estimate) - wanted) / wanted if wanted else float("nan")


def hd95(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> float:
    """95th percentile Hausdorff distance: the larger of the two directions' 95th percentiles.

    Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        mm; nan when either segmentation is empty.
    """
    return _hd95(surface_distances(truth, estimate, spacing))


def assd(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> float:
    """Average symmetric surface distance: the mean over the surface voxels of both segmentations.

    Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        mm; nan when either segmentation is empty.
    """
    return _assd(surface_distances(truth, estimate, spacing))


def _hd95(distances: tuple[np.ndarray, np.ndarray]) -> float:
    if not all(d.size for d in distances):
        return float("nan")
    return float(max(np.percentile(d, 95) for d in distances))


def _assd(distances: tuple[np.ndarray, np.ndarray]) -> float:
    if not all(d.size for d in distances):
        return float("nan")
    return float(np.concatenate(distances).mean(dtype=np.float64))


def evaluate(
    sr: sitk.Image,
    hr: sitk.Image,
    labels: sitk.Image | None = None,
    truth: sitk.Image | None = None,
    mask: sitk.Image | None = None,
    truth_label: int | None = None,
) -> dict[str, float]:
    """Compare a super-resolved volume, and optionally its segmentation, with the truth on one grid.

    Args:
        sr: the result.
        hr: the true high-resolution volume; both are divided by its maximum.
        labels: the result's binary segmentation (not 0 is inside).
        truth: the true segmentation; may hold several labels when `truth_label` says which one counts.
        mask: brain mask for `psnr_mask` and `ssim_mask` (not 0 is inside).
        truth_label: for example 5, the cortical grey matter of the fetal atlases.

    Returns:
        "psnr" (dB) and "ssim" of the whole volume; with a mask also "psnr_mask" and "ssim_mask"; with labels and
        truth also "dice", "hd95" (mm), "assd" (mm) and "volume_bias" (%).

    Raises:
        ValueError: grids that differ, a volume without positive or finite intensities, or segmentations that leave
            open what to compare.
    """
    _check_grids(hr, {"super-resolved volume": sr, "segmentation": labels, "true segmentation": truth, "mask": mask})
    if (labels is None) != (truth is None):
        raise ValueError("To compare segmentations give both: the result's labels and the truth.")
    reference, estimate = _finite(hr, "high-resolution volume"), _finite(sr, "super-resolved volume")
    peak = reference.max()
    if peak <= 0:
        raise ValueError(f"The high-resolution volume has no positive intensity (its maximum is {peak:g}).")
    reference /= peak
    estimate /= peak
    similarity = ssim_map(reference, estimate)
    scores = {"psnr": psnr(reference, estimate), "ssim": _mean_ssim(similarity, None)}
    if mask is not None:
        inside = sitk.GetArrayViewFromImage(mask)
        scores |= {"psnr_mask": psnr(reference, estimate, inside), "ssim_mask": _mean_ssim(similarity, inside)}
    if labels is not None:
        pair = _binary(truth, truth_label, "truth"), _binary(labels, None, "result")
        scores |= compare_segmentations(*pair, hr.GetSpacing())
    return scores


def compare_segmentations(truth: np.ndarray, estimate: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """All measures of a binary segmentation. Arguments and errors as in `surface_distance.surface_distances`.

    Returns:
        "dice", "hd95" (mm), "assd" (mm) and "volume_bias" (%).
    """
    distances = surface_distances(truth, estimate, spacing)
    return {
        "dice": dice(truth, estimate),
        "hd95": _hd95(distances),
        "assd": _assd(distances),
        "volume_bias": volume_bias(truth, estimate),
    }


def _binary(segmentation: sitk.Image, label: int | None, name: str) -> np.ndarray:
    """The voxels of one label, or of the only one there is."""
    array = sitk.GetArrayViewFromImage(segmentation)
    values = [int(v) for v in np.unique(array) if v != 0]
    listed = ", ".join(map(str, values)) or "none"
    if label is None:
        if len(values) > 1:
            advice = "say which one is the cortex with --truth-label" if name == "truth" else "it must hold one"
            raise ValueError(f"The segmentation of the {name} holds the labels {listed}; {advice}.")
        return array != 0
    if label not in values:
        raise ValueError(f"The segmentation of the {name} has no label {label}; its labels are: {listed}.")
    return array == label


def _check_shapes(first: np.ndarray, second: np.ndarray, mask: np.ndarray | None) -> None:
    shapes = [a.shape for a in (first, second, mask) if a is not None]
    if len(set(shapes)) > 1:
        raise ValueError(f"Arrays of one shape are needed, not {' and '.join(map(str, shapes))}.")


def _inside(mask: np.ndarray) -> np.ndarray:
    inside = mask != 0
    if not inside.any():
        raise ValueError("The mask is empty; without a single voxel there is nothing to measure.")
    return inside


def _finite(image: sitk.Image, name: str) -> np.ndarray:
    array = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    if not np.isfinite(array).all():
        raise ValueError(f"The {name} holds values that are not numbers (NaN or infinite).")
    return array


def _check_grids(hr: sitk.Image, others: dict[str, sitk.Image | None]) -> None:
    wanted = Grid.of(hr)
    for name, image in others.items():
        if image is not None and not wanted.matches(Grid.of(image)):
            found = Grid.of(image)
            raise ValueError(
                f"The {name} must be on the grid of the high-resolution volume: size {wanted.size}, "
                f"spacing {wanted.spacing}, origin {wanted.origin}; but it has size {found.size}, "
                f"spacing {found.spacing}, origin {found.origin}; resample it first."
            )
