"""The anatomy of the phantom: where each structure of a neonatal brain lies, as signed distance fields in mm.

Coordinates are side (distance from the midline), anterior and up; the origin is in the third ventricle's roof. Both
sides share the formulas. What tells left from right is the warp of the coordinates and the folds (`phantom`).
The sizes are those of a brain of about 35 weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..utils.triples import triple
from .implicit_shapes import Points, ellipsoid, intersection, smooth_noise, tube, union

FAR = np.float32(12.0)  # mm; a distance that stands for "not near"

# The deep structures are only evaluated here, which takes a third of the time: mm along (z, y, x) of the image.
_DEEP_BOX = ((-48, 28), (-46, 52), (-32, 32))


@dataclass(frozen=True)
class DeepStructures:
    """Signed distances in mm, (z, y, x) float32, at most `FAR`."""

    grey: np.ndarray
    ventricles: np.ndarray
    callosum: np.ndarray
    stem: np.ndarray
    cerebellum: np.ndarray
    core: np.ndarray  # what joins the hemispheres: no cortex borders it


def anatomical_points(axes: Sequence[np.ndarray], rng: np.random.Generator) -> Points:
    """The coordinates (side, anterior, up) of every voxel, gently warped so that no brain is symmetric.

    Args:
        axes: voxel positions in mm along (z, y, x) of an LPS image whose centre is the origin.
        rng: the source of randomness.

    Returns:
        Three arrays (z, y, x), mm.
    """
    up, posterior, left = np.meshgrid(*axes, indexing="ij")
    left += np.float32(0.6) * smooth_noise(axes, 50, rng)
    posterior += np.float32(0.8) * smooth_noise(axes, 40, rng)
    up += np.float32(0.8) * smooth_noise(axes, 40, rng) - np.float32(7)
    return np.abs(left), -posterior, up


def cerebrum(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """The cerebrum without its folds.

    Returns:
        Its outline, fissures filled; and the two hemispheres, apart from each other, with open Sylvian fissures.
    """
    side = points[0]
    outline = union(_upper_lobes(points), _temporal_lobe(points), 5)
    carved = intersection(outline, -_sylvian_fissure(points), 3)
    return outline, intersection(carved, 1 - side, 2)


def _upper_lobes(points: Points) -> np.ndarray:
    """Frontal, parietal and occipital lobes: an egg, broad behind and below, on the skull base and the tentorium."""
    side, anterior, up = points
    width = side * (1 + 0.0028 * anterior + 0.00004 * anterior * anterior) * (1 + 0.004 * up.clip(0))
    height = (up + 2) * (1 + 0.0025 * anterior.clip(-30))
    egg = ellipsoid((width, anterior, height), (0, 0, 0), (41, 49, 34.5), power=2.15)
    posterior = 1 / (1 + np.exp((anterior + 2) / 4))
    floor = -14 + posterior * (5 - 0.3 * side.clip(None, 28) + 0.1 * (anterior + 12))
    return intersection(egg, floor - up, 8)


def _temporal_lobe(points: Points) -> np.ndarray:
    pole_to_back = [(25, 22, -23, 9.5), (28, 8, -22, 12.5), (28.5, -10, -17, 13.5), (27, -26, -11, 13)]
    hippocampus = [(15, 9, -19, 5), (16, -2, -18, 6), (16.5, -14, -13, 7), (14, -28, -9, 7)]
    return union(tube(points, pole_to_back), tube(points, hippocampus), 6)


def _sylvian_fissure(points: Points) -> np.ndarray:
    """A T on its side: a cleft that rises backwards, and the space over the insula at its bottom."""
    side, anterior, up = points
    height = (up + 13 - (26 - anterior) * 0.42) * 0.92  # distance from the cleft's plane
    cleft = np.maximum(np.abs(height) - (0.9 + 0.11 * (side - 30).clip(0)), 29 - side)
    insula = np.maximum(np.abs(height) - 5.8, np.abs(side - 29.5 + 0.04 * height * height) - 0.9)
    ends = np.maximum(anterior - 36, -17 - anterior)
    return intersection(union(cleft, insula, 2), ends, 4)


def deep_structures(points: Points, axes: Sequence[np.ndarray]) -> DeepStructures:
    """Everything but the folded hemispheres.

    Args:
        points: from `anatomical_points`.
        axes: the same voxel positions along (z, y, x), mm.
    """
    box = tuple(slice(*np.searchsorted(axis, limits)) for axis, limits in zip(axes, _DEEP_BOX, strict=True))
    near = triple(p[box] for p in points)
    grey, callosum, lateral = _deep_grey(near), _corpus_callosum(near), _lateral_ventricle(near)
    third = ellipsoid(near, (0, 3, -6), (1.4, 11, 8))
    cavum = ellipsoid(near, (0, 16, 3), (2, 9, 3.6))  # cavum septi pellucidi, open in the newborn
    midline = np.minimum(np.minimum(third, cavum), _lower_ventricles(near))
    core = union(union(grey, lateral - 2, 3), np.minimum(callosum, np.minimum(third - 2, cavum - 1)), 2)
    core = union(core, ellipsoid(near, (0, 6, -3), (9, 16, 9)), 2)

    def everywhere(field: np.ndarray) -> np.ndarray:
        full = np.full(points[0].shape, FAR, np.float32)
        full[box] = field.clip(None, FAR)
        return full

    fields = grey, np.minimum(lateral, midline), callosum, _brainstem(near), _cerebellum(near), core
    return DeepStructures(*map(everywhere, fields))


def _deep_grey(points: Points) -> np.ndarray:
    side, anterior, up = points
    thalamus = ellipsoid(points, (8.8, -2, -3), (7.8, 12, 8.5))
    lentiform = ellipsoid((side - 0.25 * anterior, anterior, up), (15.5, 8, -4.5), (6, 14, 8))
    caudate = tube(points, [(8, 22, -2, 5.4), (10, 16, 3, 4.2), (13, 4, 7, 2.6), (15, -8, 7, 1.8)])
    return union(union(thalamus, lentiform, 2.5), caudate, 2)


def _lateral_ventricle(points: Points) -> np.ndarray:
    """Frontal horn and body are wings under the callosum; atrium, occipital and temporal horns are upright slits."""
    side, anterior, up = points
    wing = (0.6 * side, anterior, 1.5 * (up - 0.3 * side))
    body = tube(wing, [(3, 27, -2, 2), (3.6, 16, 4, 2.3), (4.8, 2, 7.8, 2.2), (7, -10, 4.2, 2.6), (9, -19, -3, 2.8)])
    slit = (1.4 * side, anterior, up)
    occipital = tube(slit, [(20, -17, 1.5, 4.2), (22, -23, -1, 4.8), (22, -31, -3, 2.8), (19, -38, -4.5, 1.4)])
    temporal = tube(slit, [(21, -21, -0.5, 4.2), (29, -14, -11, 2.6), (33, 0, -18, 2.2), (32, 10, -20, 1.7)])
    return union(union(body, occipital, 2), temporal, 2)


def _lower_ventricles(points: Points) -> np.ndarray:
    """Aqueduct and fourth ventricle."""
    aqueduct = tube(points, [(0, -6, -8, 0.8), (0, -12, -14, 0.8), (0, -12, -21, 1)])
    return np.minimum(aqueduct, ellipsoid(points, (0, -13, -26.5), (3.8, 2.4, 6)))


def _corpus_callosum(points: Points) -> np.ndarray:
    side, anterior, up = points
    arch = (0.45 * side, anterior, up - 0.1 * side.clip(None, 12))
    genu = [(0, 22, -4, 1.4), (0, 27.5, 1, 2), (0, 24, 7, 1.6)]
    trunk_and_splenium = [(0, 12, 10.8, 1.3), (0, -2, 11, 1.2), (0, -12, 8.8, 1.6), (0, -16, 4.8, 2.2)]
    return tube(arch, genu + trunk_and_splenium)


def _brainstem(points: Points) -> np.ndarray:
    """From the midbrain over the pons to the medulla, with the cerebral peduncles and the tectum."""
    side, anterior, up = points
    knots = [
        (0, -8, -14, 5.5),
        (0, -5, -22, 7.2),
        (0, -5, -28, 7),
        (0, -10, -36, 4.8),
        (0, -13, -44, 3.8),
    ]
    trunk = tube((side / 1.15, anterior, up), knots)
    peduncle = tube(points, [(7, 3, -12, 4.2), (4, -4, -17, 5)])
    tectum = ellipsoid(points, (3, -14, -11), (4, 3, 4))
    return union(union(trunk, peduncle, 3), tectum, 2)


def _cerebellum(points: Points) -> np.ndarray:
    lobe = ellipsoid(points, (11.5, -21, -26), (13, 13.5, 11.5))
    vermis = ellipsoid(points, (0, -22, -24.5), (6, 11.5, 11))
    return union(lobe, vermis, 4)
