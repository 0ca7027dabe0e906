"""A scan made ready for the network: everything that the stages of `enhance` need of it, made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..models.card import ModelCard
from ..quality.preflight import judge
from ..transforms.bias_field import correct_bias
from ..transforms.components import Box, bounding_box
from ..transforms.data_consistency import DataConsistency, ForwardModel
from ..transforms.resample import resample_labels, upsample
from ..utils.triples import triple
from .options import EnhanceOptions
from .run_context import RunContext

_MARGIN = 8.0  # mm of surroundings that the network sees
AIR = 0.1  # of the intensity scale: what is darker is air, or outside of the head


@dataclass(frozen=True)
class MaskedScan:
    """A scan and where its brain is.

    image: float32, without its bias field where that was wanted. mask: brain on its grid, uint8 0 or 1, or None.
    output: grid of the result. domain, warnings: how it compares with the training of the model, see `preflight.judge`.
    """

    image: sitk.Image
    mask: sitk.Image | None
    output: Grid
    domain: dict[str, Any]
    warnings: list[str]

    @cached_property
    def inside(self) -> np.ndarray | None:
        """The mask on the output's grid, (z, y, x) bool; None without one."""
        return None if self.mask is None else _array(resample_labels(self.mask, self.output)) > 0

    @cached_property
    def forward(self) -> ForwardModel:
        """From a result to its scan."""
        return ForwardModel(Grid.of(self.image), self.output)

    @cached_property
    def consistency(self) -> DataConsistency:
        """Brings results to agreement with the scan."""
        return DataConsistency(self.image, self.forward)


@dataclass(frozen=True)
class PreparedScan:
    """A scan on the network's scale and the output's grid.

    scan: in its own units. scale: its intensity that the network sees as 1. interpolated: (z, y, x) float32 on the
    output's grid, on the network's scale. region: the box that the network sees. given: (z, y, x) float32 of the
    region, what the network gets.
    """

    scan: MaskedScan
    scale: float
    interpolated: np.ndarray
    region: Box
    given: torch.Tensor

    @property
    def counted(self) -> np.ndarray | None:
        """Where in the region a voxel is predicted, bool; None for everywhere."""
        return None if self.scan.inside is None else self.scan.inside[self.region]


def prepare(
    image: sitk.Image, mask: sitk.Image | None, card: ModelCard, options: EnhanceOptions, run: RunContext
) -> PreparedScan:
    """Correct, judge and interpolate a scan, and cut out what the network sees.

    Args:
        image: the scan. mask: brain mask on any grid of its space, or None. card: of the model.
        options: spacing, interpolator and bias correction. run: progress, cancellation and timings.

    Raises:
        ValueError: spacing, mask or image that cannot be used. Cancelled: the run was stopped.
    """
    grid = Grid.of(image)
    output, inside = options.output(grid, card), None if mask is None else _checked_mask(mask, grid)
    with run.step("bias correction"):
        measured = sitk.Cast(image, sitk.sitkFloat32)
        if options.bias_correction:
            run.report(0.0, "Correcting the bias field")
            measured = correct_bias(measured, inside)
        scan = MaskedScan(measured, inside, output, *judge(measured, inside, output, card))
    with run.step("interpolation"):
        run.report(0.0, "Interpolating")
        return _interpolated(scan, card, options)


def _interpolated(scan: MaskedScan, card: ModelCard, options: EnhanceOptions) -> PreparedScan:
    scale = card.normalization.scale(_array(scan.image), None if scan.mask is None else _array(scan.mask))
    upsampled = _array(upsample(scan.image, scan.output, options.interpolator))
    interpolated = upsampled / np.float32(scale)
    region = triple([slice(0, n) for n in interpolated.shape]) if options.as_original else _region(scan, interpolated)
    given = interpolated[region]
    if card.consistent_input and not options.as_original:
        given = scan.consistency.enforce(upsampled, scan.inside)[region] / np.float32(scale)
    if scan.inside is not None:  # the training volumes are brains without surroundings
        given = np.where(scan.inside[region], given, np.float32(0))
    return PreparedScan(scan, scale, interpolated, region, torch.from_numpy(np.ascontiguousarray(given)))


def _checked_mask(mask: sitk.Image, grid: Grid) -> sitk.Image:
    """The mask as 0 and 1 on the image's grid."""
    binary = sitk.Cast(mask != 0, sitk.sitkUInt8)
    carried = binary if Grid.of(mask).matches(grid) else resample_labels(binary, grid)
    if not np.any(sitk.GetArrayViewFromImage(carried)):
        raise ValueError("The mask has no voxel inside the volume; check that it belongs to this volume.")
    return carried


def _region(scan: MaskedScan, interpolated: np.ndarray) -> Box:
    """The box of the output grid around the mask, or else around all that is not air, with a margin.

    Instance normalization sees a patch as a whole: much air around a small brain would change what it does.
    """
    content = interpolated > AIR if scan.inside is None else scan.inside
    if not content.any():
        return triple(slice(0, length) for length in content.shape)
    return bounding_box(content, [int(np.ceil(_MARGIN / s)) for s in reversed(scan.output.spacing)])


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)
