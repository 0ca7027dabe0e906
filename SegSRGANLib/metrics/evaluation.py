"""How far a result is from the truth: PSNR, SSIM, Dice, surface distances, volume bias.

Arrays are (z, y, x); spacing is (x, y, z) in mm, as SimpleITK gives it. The protocol (`evaluate`): both volumes on the
grid of the high-resolution one, divided by its maximum, data range 1.
"""

from __future__ import annotations

import logging

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..transforms.resample import resample_labels
from .image import mean_ssim, psnr, ssim_map
from .segmentation import compare_segmentations

_logger = logging.getLogger(__name__)


def evaluate(
    sr: sitk.Image,
    hr: sitk.Image,
    labels: sitk.Image | None = None,
    truth: sitk.Image | None = None,
    mask: sitk.Image | None = None,
    truth_label: int | None = None,
) -> dict[str, float]:
    """Compare a super-resolved volume, and optionally its segmentation, with the truth on one grid.

    Volumes that end some voxels earlier or later than the truth (155 slices simulated as thick ones come back as 156)
    are compared where all of them have voxels; a warning is logged that says so.

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
        ValueError: grids that differ in more than their ends, a volume without positive or finite intensities, or
            segmentations that leave open what to compare.
    """
    hr, sr, labels, truth, mask = _on_common_grid(hr, sr, labels, truth, mask)  # ty: ignore[invalid-assignment]
    if (labels is None) != (truth is None):
        raise ValueError("To compare segmentations give both: the result's labels and the truth.")
    reference, estimate = _finite(hr, "high-resolution volume"), _finite(sr, "super-resolved volume")
    peak = reference.max()
    if peak <= 0:
        raise ValueError(f"The high-resolution volume has no positive intensity (its maximum is {peak:g}).")
    reference /= peak
    estimate /= peak
    similarity = ssim_map(reference, estimate)
    scores = {"psnr": psnr(reference, estimate), "ssim": mean_ssim(similarity, None)}
    if mask is not None:
        inside = sitk.GetArrayViewFromImage(mask)
        scores |= {"psnr_mask": psnr(reference, estimate, inside), "ssim_mask": mean_ssim(similarity, inside)}
    if labels is not None and truth is not None:
        pair = _binary(truth, truth_label, "truth"), _binary(labels, None, "result")
        scores |= compare_segmentations(*pair, hr.GetSpacing())
    return scores


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


def _finite(image: sitk.Image, name: str) -> np.ndarray:
    array = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    if not np.isfinite(array).all():
        raise ValueError(f"The {name} holds values that are not numbers (NaN or infinite).")
    return array


def _on_common_grid(hr: sitk.Image, *others: sitk.Image | None) -> tuple[sitk.Image | None, ...]:
    """The volumes cut to the voxels that all of them have; `others` are those of `evaluate`, in its order."""
    wanted = common = Grid.of(hr)
    names = ("super-resolved volume", "segmentation", "true segmentation", "mask")
    for name, image in zip(names, others, strict=True):
        if image is not None:
            grid = Grid.of(image)
            try:
                common = common.common(grid)
            except ValueError as error:
                raise ValueError(
                    f"{error} The {name} must be on the grid of the high-resolution volume: size {wanted.size}, "
                    f"spacing {wanted.spacing}, origin {wanted.origin}; but it has size {grid.size}, "
                    f"spacing {grid.spacing}, origin {grid.origin}; resample it first, or run predict --like."
                ) from error
    images = (hr, *others)
    if all(image is None or Grid.of(image).matches(common) for image in images):
        return images
    _logger.warning(
        "compared on the common grid of %s voxels: the high-resolution volume has %s, the super-resolved one %s",
        *(" x ".join(map(str, grid.size)) for grid in (common, wanted, Grid.of(others[0]))),  # ty: ignore[invalid-argument-type]
    )
    return tuple(None if image is None else resample_labels(image, common) for image in images)
