"""Voxels that mix two tissues and look like a third one.

In the T2-weighted image of a newborn, CSF is bright, cortex dark and white matter between them. A voxel half CSF, half
cortex therefore has the intensity of white matter, and EM draws a film of false white matter on the cortex. H. Xue et
al. (NeuroImage 38 (2007) 461-477) find these voxels by their neighbours and move their probability to the tissues that
they mix; Makropoulos et al. (2014) use the same correction between the iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

_KEPT = 0.5  # of the wrong tissue's probability stays at each correction
_ISLAND = 0.5  # relative to the largest part: smaller parts of white matter are islands
OTHER, OUTSIDE, FLUID, CORTEX, WHITE = range(5)


@dataclass(frozen=True)
class Roles:
    """What each class of the mixture is: `of[k]` is OTHER, OUTSIDE, FLUID, CORTEX or WHITE."""

    of: np.ndarray

    def select(self, role: int) -> np.ndarray:
        """Indices of the classes with a role."""
        return np.flatnonzero(self.of == role)


def correct_partial_volume(posteriors: np.ndarray, priors: np.ndarray, roles: Roles, mask: np.ndarray) -> None:
    """Move probability off mislabelled voxels, in place, in the posteriors and in the priors.

    The rules, from the most probable class of a voxel and those of its six neighbours:

    - white matter apart from its largest part: to CSF;
    - white matter beside CSF and the outside: to CSF;
    - white matter beside cortex and either of them: to cortex and CSF, in proportion to their probabilities;
    - cortex beside CSF and the outside: to CSF.

    Args:
        posteriors, priors: (classes, z, y, x), sum 1 inside the mask.
        roles: of the classes.
        mask: (z, y, x); outside it is OUTSIDE.
    """
    role = np.where(mask, roles.of[posteriors.argmax(0)], OUTSIDE)
    white, cortex = role == WHITE, role == CORTEX
    by_fluid, by_cortex, by_outside = (_touches(role == kind) for kind in (FLUID, CORTEX, OUTSIDE))
    rim = (white | cortex) & by_fluid & by_outside
    film = white & ~rim & by_cortex & (by_fluid | by_outside)
    to_fluid = rim | _islands(white)
    for volume in (posteriors, priors):
        _move(volume, to_fluid, roles, (WHITE, CORTEX), (FLUID,))
        _move(volume, film & ~to_fluid, roles, (WHITE,), (CORTEX, FLUID))


def _touches(inside: np.ndarray) -> np.ndarray:
    """Voxels with at least one of six neighbours inside; beyond the volume's border there is nothing."""
    found = np.zeros_like(inside)
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        found[tuple(low)] |= inside[tuple(high)]
        found[tuple(high)] |= inside[tuple(low)]
    return found


def _islands(inside: np.ndarray) -> np.ndarray:
    """Parts (faces connect) smaller than half of the largest one."""
    parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(inside.astype(np.uint8))))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return inside & (sizes < _ISLAND * sizes.max(initial=0))[parts]


def _move(
    volume: np.ndarray, where: np.ndarray, roles: Roles, sources: tuple[int, ...], targets: tuple[int, ...]
) -> None:
    """Move a part of the sources' probability to the targets, in proportion to what these have."""
    voxels = np.flatnonzero(where)
    flat = volume.reshape(len(volume), -1)
    taking = np.concatenate([roles.select(role) for role in targets])
    giving = np.concatenate([roles.select(role) for role in sources])
    moved = (1 - _KEPT) * flat[np.ix_(giving, voxels)].sum(0)
    flat[np.ix_(giving, voxels)] *= _KEPT
    share = flat[np.ix_(taking, voxels)] + 1e-6
    flat[np.ix_(taking, voxels)] += moved * share / share.sum(0)
