"""Deformable registration by diffeomorphic demons, coarse to fine, and the warping of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..utils.progress import ShouldStop, stop_if
from .alignment import blurred, coarsened, resampled

Levels = Sequence[tuple[float, int]]


def deform(
    fixed: sitk.Image, moving: sitk.Image, start: sitk.Transform, levels: Levels, smoothing: float,
    should_stop: ShouldStop | None = None,
) -> sitk.Transform:  # fmt: skip
    """Diffeomorphic demons (Vercauteren et al., NeuroImage 2009) after histogram matching (Nyul and Udupa 1999).

    Args:
        fixed: float32 volume, 0 outside the brain.
        moving: the same of the atlas.
        start: the affine transform, from points of the fixed volume to the moving one.
        levels: voxel size in mm and iterations, from coarse to fine; levels finer than the volume are left out, but
            for one at its own finest voxel size.
        smoothing: of the displacement after each iteration, standard deviation in voxels of the level.
        should_stop: asked between the levels.

    Returns:
        The whole transform, from points of the fixed volume to points of the moving one.

    Raises:
        Cancelled: when `should_stop` says so.
    """
    field = None
    for spacing, iterations in _possible(levels, min(fixed.GetSpacing())):
        stop_if(should_stop)
        target = coarsened(fixed, spacing)
        source = sitk.Resample(blurred(moving, spacing), target, start, sitk.sitkLinear)
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetStandardDeviations(smoothing)
        source = sitk.HistogramMatching(source, target, 256, 15, True)
        if field is None:
            field = demons.Execute(target, source)
        else:
            field = demons.Execute(target, source, sitk.Resample(field, target, sitk.Transform(), sitk.sitkLinear))
    if field is None:
        return start
    return sitk.CompositeTransform([start, sitk.DisplacementFieldTransform(field)])


def _possible(levels: Levels, finest: float) -> list[tuple[float, int]]:
    """The levels that are not finer than the volume; of those that are, one at its own voxel size."""
    coarse = [level for level in levels if level[0] >= 0.99 * finest]
    finer = [level for level in levels if level[0] < 0.99 * finest]
    if finer and (not coarse or coarse[-1][0] > 1.3 * finest):
        coarse.append((finest, finer[0][1]))
    return coarse


def warp_labels(labels: sitk.Image, grid: Grid, transform: sitk.Transform) -> sitk.Image:
    """Carry labels through a transform: each label linearly as a fraction, then the largest fraction wins.

    The border of a nearest-neighbour warp is a staircase of the atlas's voxels; a fraction keeps it where it is to a
    part of a voxel. Ties go to the smaller label.

    Returns:
        The labels on `grid`, of the input's type, 0 outside the atlas.
    """
    values = np.unique(sitk.GetArrayViewFromImage(labels))
    best = np.full(grid.shape, -1.0, np.float32)
    found = np.zeros(grid.shape, sitk.GetArrayViewFromImage(labels).dtype)
    for value in values.tolist():
        fraction = sitk.GetArrayFromImage(
            resampled(sitk.Cast(labels == value, sitk.sitkFloat32), grid, transform, outside=float(value == 0))
        )
        wins = fraction > best
        best[wins], found[wins] = fraction[wins], value
    return grid.image(found)
