"""The brain's mask in a T2-weighted scan of a newborn's head, or of a fetus in its mother.

Steps: the scan on voxels of 3 mm with its own axes - a small network over the field of view, upright and turned - the
largest piece, without holes, smoothed - back on the scan's grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from ...data.grid import Grid, output_grid
from ...models.brain_extractor import load_brain_extractor
from ...networks.brain_extractor import SPACING, BrainExtractor
from ...quality.limits import SURE_BRAIN
from ...transforms.components import largest_component
from ...transforms.separable import apply_along, as_tensor, tent_matrix
from ...utils.devices import choose_device
from ...utils.progress import Progress, ShouldStop, scaled, stop_if
from .checks import BrainChecks, check_brain, expected_dice
from .prediction import predict_brain

_PIECE = 1.0  # mL: smaller pieces are not counted
_SMOOTHING = 1.5  # mm, sigma
# Of the smoothed probability, where the network is sure and where not: a missed millimetre of cortex costs more than a
# kept one of dura, but around a brain that the network is unsure of 0.3 lies far outside
_BORDER, _UNSURE_BORDER = 0.3, 0.5
_STRIPPED_BACKGROUND = 0.4  # share of voxels of one value around a stripped brain
_STRIPPED_DICE = 0.94  # of the content and the brain found in it


@dataclass(frozen=True)
class BrainExtraction:
    """A brain mask, uint8, 1 = brain, on the grid of its scan, and its checks."""

    mask: sitk.Image
    checks: BrainChecks


def extract_brain(
    image: sitk.Image,
    device: str | torch.device = "auto",
    *,
    network: BrainExtractor | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> BrainExtraction:
    """Find the brain with the fluid around it, inside the skull.

    Args:
        image: 3D T2-weighted scan of any grid and orientation.
        device: see `device.choose_device`.
        network: to use in place of the bundled one; it must be on the device.
        progress, should_stop: see `progress`.

    Raises:
        ValueError: no brain was found.
        CheckpointError: the bundled network is missing or damaged.
        Cancelled: should_stop said so.
    """
    device = choose_device(device)
    network = load_brain_extractor(device) if network is None else network
    report = scaled(progress, 0, 1)
    report(0.0, "Looking for the brain")
    scan = torch.from_numpy(sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))).nan_to_num_(0.0, 0.0, 0.0)
    source, coarse = Grid.of(image), output_grid(Grid.of(image), SPACING)
    volume = _carried(scan, source, coarse)
    probability = predict_brain(network, device, volume, should_stop)
    report(0.9, "Drawing its mask")
    stop_if(should_stop)
    inside, pieces = _largest(probability)
    smooth = torch.from_numpy(_smoothed(probability, inside))
    sure = expected_dice(probability, inside) >= SURE_BRAIN
    mask = _carried(smooth, coarse, source).numpy() >= (_BORDER if sure else _UNSURE_BORDER)
    report(1.0, "Found the brain")
    checks = check_brain(mask, source, probability, inside, pieces, _shows_nothing_else(scan.numpy(), mask))
    return BrainExtraction(source.image(mask.astype(np.uint8)), checks)


def _carried(volume: torch.Tensor, source: Grid, target: Grid) -> torch.Tensor:
    """A volume (z, y, x) on another grid of the same field of view: averaged where voxels grow, else interpolated."""
    for axis in range(3):
        spacing, wanted = source.spacing[axis], target.spacing[axis]
        matrix = tent_matrix(source.size[axis], target.size[axis], spacing, wanted, max(spacing, wanted))
        volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    return volume


def _largest(probability: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The largest piece above one half (bool), and the volumes in mL of all pieces of some size, largest first.

    Raises:
        ValueError: there is none.
    """
    likely = probability >= 0.5
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(likely.astype(np.uint8))))
    labels = sitk.GetArrayViewFromImage(parts)
    volumes = np.bincount(labels.ravel())[1:] * SPACING**3 / 1000
    pieces = [float(v) for v in volumes if v >= _PIECE]
    if not pieces:
        raise ValueError(
            "No brain was found in this volume. Give a brain mask, or choose none when the volume is a brain already."
        )
    return labels == 1, pieces


def _smoothed(probability: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The piece without holes as a soft mask: its own probabilities at the border, smoothed; one half is the border."""
    filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(inside.astype(np.uint8)), True)) > 0
    near = sitk.GetArrayFromImage(sitk.BinaryDilate(sitk.GetImageFromArray(filled.astype(np.uint8)), [1] * 3)) > 0
    soft = np.where(near, probability, np.float32(0))
    soft[filled & ~(probability >= 0.5)] = 1
    image = sitk.GetImageFromArray(soft)
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, [_SMOOTHING / SPACING] * 3))


def _shows_nothing_else(scan: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a scan (z, y, x) shows the brain on a background of one value, and nothing else."""
    content = scan != scan.min()
    if content.mean() > 1 - _STRIPPED_BACKGROUND or not mask.any():
        return False
    whole = sitk.BinaryFillhole(sitk.GetImageFromArray(largest_component(content)))
    content = sitk.GetArrayViewFromImage(whole) > 0
    dice = 2 * np.count_nonzero(content & mask) / (np.count_nonzero(content) + np.count_nonzero(mask))
    return bool(dice >= _STRIPPED_DICE)
