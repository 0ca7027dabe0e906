"""Registration of atlases to a volume: which of them fit, and where their tissues then lie.

Every atlas is aligned affinely on coarse copies; those of about the same size that correlate best with the volume go on
to a deformable registration. The age of the brain need not be known: it shows in its size and folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..transforms.components import bounding_box, largest_component
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .alignment import Alignment, align, coarsened, resampled
from .atlas import Atlas
from .deformation import deform, warp_labels
from .evidence import WarpedAtlas
from .outer_fluid import lacks_outer_fluid, without_outer_fluid

_MARGIN = 4.0  # mm kept around a brain, for the deformation
_SIZES = 0.2  # an atlas this much larger or smaller (logarithm of the length) is of another age
_AFFINE_SHARE = 0.2  # of the time


@dataclass(frozen=True)
class RegistrationOptions:
    """How atlases are registered.

    atlases: how many are kept, those that correlate best with the volume. affine_spacing: mm of the coarse copies.
    levels: of the demons, voxel size in mm and iterations, coarse to fine. smoothing: standard deviation in voxels of
    the displacement's smoothing. fluid: the atlases' labels of the CSF around the brain, which some brains (spina
    bifida) and some masks do not have: the atlases of such a brain lose it too. See `outer_fluid`.
    """

    atlases: int = 5
    affine_spacing: float = 3.2
    levels: tuple[tuple[float, int], ...] = ((3.2, 40), (1.6, 15), (0.8, 5))
    smoothing: float = 1.0
    fluid: tuple[int, ...] = (4,)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: a number that is not positive, or levels that do not go from coarse to fine.
        """
        if self.atlases < 1:
            raise ValueError(f"At least one atlas must be kept, not {self.atlases}.")
        sizes = [size for size, _ in self.levels]
        if not (self.affine_spacing > 0 and self.smoothing > 0 and all(size > 0 for size in sizes)):
            raise ValueError("The voxel sizes and the smoothing of a registration must be positive.")
        if sizes != sorted(sizes, reverse=True):
            raise ValueError(f"The levels of a registration must go from coarse to fine, not {sizes} mm.")


def register_atlases(
    image: sitk.Image,
    mask: sitk.Image | None,
    atlases: Sequence[Atlas],
    options: RegistrationOptions = RegistrationOptions(),
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> list[WarpedAtlas]:
    """Bring the atlases that fit best onto the grid of a volume.

    Args:
        image: the volume to segment; its axes mean about the same anatomical directions as the atlases'.
        mask: of its brain, on its grid. None for a skull-stripped volume: the foreground is then the brain.
        atlases: any number; only `options.atlases` of them are kept.
        options: see `RegistrationOptions`.
        progress: called with the fraction done.
        should_stop: asked between the steps, the longest of which takes a few seconds.

    Returns:
        The kept atlases, the best first. Images are skull-stripped and keep the atlas's intensities.

    Raises:
        ValueError: no atlas, an atlas without labels, or a mask that is empty or on another grid.
        Cancelled: when `should_stop` says so.
    """
    if not atlases:
        raise ValueError("There is no atlas to register; give at least one.")
    for atlas in atlases:
        if not sitk.GetArrayViewFromImage(atlas.labels).any():
            raise ValueError(f"The atlas {atlas.name} has no labels: every voxel is 0.")
    grid = Grid.of(image)
    brain = _brain(image, mask)
    chosen = _best(brain, atlases, options, scaled(progress, 0, _AFFINE_SHARE), should_stop)
    warped = []
    report = scaled(progress, _AFFINE_SHARE, 1)
    for done, candidate in enumerate(chosen):
        report(done / len(chosen), f"Registering {candidate.atlas.name}")
        warped.append(_warp(candidate, brain, grid, options, should_stop))
    report(1.0, "Atlases registered")
    return warped


@dataclass(frozen=True)
class _Candidate:
    """An atlas, its brain (float32, 0 outside) with or without outer CSF, and how it lies in the volume."""

    atlas: Atlas
    brain: sitk.Image
    alignment: Alignment


def _best(
    brain: sitk.Image,
    atlases: Sequence[Atlas],
    options: RegistrationOptions,
    progress: Progress,
    should_stop: ShouldStop | None,
) -> list[_Candidate]:
    """The atlases that correlate best after the affine alignment, the best first.

    A brain without outer CSF is compared with atlases without it.
    """
    fixed = coarsened(brain, options.affine_spacing)

    def aligned(some: Sequence[Atlas], low: float, high: float) -> list[_Candidate]:
        found = []
        for index, atlas in enumerate(some):
            stop_if(should_stop)
            progress(low + (high - low) * index / len(some), "Choosing atlases")
            moving = _stripped(atlas.image, atlas.labels)
            found.append(_Candidate(atlas, moving, align(fixed, coarsened(moving, options.affine_spacing))))
        return sorted(found, key=_rank)[: options.atlases]

    whole = aligned(atlases, 0, 0.5)
    bare = without_outer_fluid(whole[0].atlas, options.fluid)
    if not lacks_outer_fluid(brain, whole[0].brain, _stripped(bare.image, bare.labels)):
        return whole
    return aligned([without_outer_fluid(atlas, options.fluid) for atlas in atlases], 0.5, 1)


def _rank(candidate: _Candidate) -> tuple[float, float]:
    """The smaller the better: first a size that is possible, then the correlation."""
    determinant = np.linalg.det(np.array(candidate.alignment.transform.GetMatrix()).reshape(3, 3))
    scaling = abs(np.log(max(determinant, 1e-6))) / 3
    return max(scaling - _SIZES, 0.0), -candidate.alignment.correlation


def _warp(
    candidate: _Candidate,
    brain: sitk.Image,
    grid: Grid,
    options: RegistrationOptions,
    should_stop: ShouldStop | None,
) -> WarpedAtlas:
    start = candidate.alignment.transform
    transform = deform(brain, candidate.brain, start, options.levels, options.smoothing, should_stop)
    stop_if(should_stop)
    local = Grid.of(brain)
    return WarpedAtlas(
        candidate.atlas.name,
        _in_whole(resampled(candidate.brain, local, transform), grid),
        _in_whole(warp_labels(candidate.atlas.labels, local, transform), grid),
    )


def _brain(image: sitk.Image, mask: sitk.Image | None) -> sitk.Image:
    """The skull-stripped volume."""
    if mask is None:
        mask = _foreground(image)
    elif not Grid.of(image).matches(Grid.of(mask)):
        raise ValueError("The mask is on another grid than the volume; resample it to the volume's grid.")
    return _stripped(image, mask)


def _foreground(image: sitk.Image) -> sitk.Image:
    """The largest part of a skull-stripped volume that is not air."""
    values = sitk.GetArrayViewFromImage(image)
    return Grid.of(image).image(largest_component(values > 0.1 * np.percentile(values, 99.5)))


def _stripped(image: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """A volume with 0 outside the mask, cut to the mask and a margin."""
    inside = sitk.GetArrayViewFromImage(mask) > 0
    z, y, x = bounding_box(inside, round(_MARGIN / min(image.GetSpacing())))
    values = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    stripped = Grid.of(image).image(np.where(inside, values.clip(0), np.float32(0)))
    return stripped[x.start : x.stop, y.start : y.stop, z.start : z.stop]


def _in_whole(part: sitk.Image, grid: Grid) -> sitk.Image:
    """Put a volume back into the grid that it was cut from, with 0 around it."""
    return resampled(part, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
