"""Solid shapes as signed distance fields, and smooth random fields: the clay that the phantom is made of.

A field holds, at every voxel, about the distance in mm to the surface of a shape: negative inside, positive outside.
Shapes combine by minimum (union) and maximum (intersection), and the field itself gives the partial volume of a
voxel at the border. Points are three float32 arrays of one shape, the coordinates in mm along each axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Points = tuple[np.ndarray, np.ndarray, np.ndarray]
_WAVES = 48  # plane waves in a random wave field: enough for a Gaussian field without visible periods
_BATCH = 65536  # points per matrix product, which bounds the memory


def ellipsoid(points: Points, centre: Sequence[float], radii: Sequence[float], power: float = 2.0) -> np.ndarray:
    """An ellipsoid, or with a power above 2 a rounded box (superellipsoid).

    Args:
        points: where to evaluate, mm.
        centre: mm.
        radii: half axes, mm.
        power: of the norm, at least 2.

    Returns:
        First-order signed distance in mm: exact at the surface, approximate elsewhere.
    """
    scaled = [np.abs(p - np.float32(c)) * np.float32(1 / r) for p, c, r in zip(points, centre, radii, strict=True)]
    if power == 2:
        norm = np.sqrt(sum(q * q for q in scaled))
        gradient = np.sqrt(sum((q / np.float32(r)) ** 2 for q, r in zip(scaled, radii, strict=True)))
        gradient /= np.maximum(norm, np.float32(1e-6))
    else:
        norm = np.maximum(sum(q**power for q in scaled) ** (1 / power), np.float32(1e-6))
        slopes = ((q / norm) ** (power - 1) / r for q, r in zip(scaled, radii, strict=True))
        gradient = np.sqrt(sum(slope * slope for slope in slopes))
    return ((norm - 1) / np.maximum(gradient, np.float32(1 / max(radii)))).astype(np.float32)


def tube(points: Points, knots: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """A chain of round cones along a polyline: a tube with rounded ends and a varying radius.

    Args:
        points: where to evaluate, mm.
        knots: (x, y, z, radius) in mm, at least two.

    Returns:
        Signed distance in mm (exact where the radius is constant).
    """
    field = np.full(points[0].shape, np.inf, np.float32)
    for start, end in zip(knots[:-1], knots[1:], strict=True):
        a = np.array(start, np.float32)
        step = np.array(end, np.float32) - a
        from_start = [p - a[k] for k, p in enumerate(points)]
        along = sum(d * step[k] for k, d in enumerate(from_start)) / np.float32(step[:3] @ step[:3])
        along = along.clip(0, 1)
        squared = sum((d - along * step[k]) ** 2 for k, d in enumerate(from_start))
        np.minimum(field, np.sqrt(squared) - (a[3] + along * step[3]), out=field)
    return field


def union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """Both shapes together, the crease between them filled over `blend` mm (polynomial smooth minimum)."""
    overlap = np.maximum(blend - np.abs(first - second), 0)
    return np.minimum(first, second) - overlap * overlap * np.float32(0.25 / blend)


def intersection(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """What the two shapes share, its edge rounded over `blend` mm; `-second` carves the second shape out."""
    return -union(-first, -second, blend)


def coverage(field: np.ndarray, width: float) -> np.ndarray:
    """How much of each voxel a shape covers, 0 to 1, when the border crosses it anywhere.

    Args:
        field: signed distance, mm.
        width: of a voxel, mm; more for a border that is blurred.
    """
    return (0.5 - field / np.float32(width)).clip(0, 1)


def smooth_noise(axes: Sequence[np.ndarray], period: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field: cubic B-splines on a lattice in mm, so that the voxel size does not change the field.

    Args:
        axes: voxel positions in mm along (z, y, x), each symmetric about 0.
        period: about two knots' distance, mm: the size of the patches.
        rng: the source of randomness.

    Returns:
        Field (z, y, x), float32, mean about 0 and standard deviation about 1.
    """
    bases = []
    for positions in axes:
        half = np.ceil(abs(positions[0]) / 8) * 8  # a lattice that small changes of the field of view do not alter
        knots = np.arange(-half - period, half + period + 1e-6, period / 2)
        distance = np.abs(positions[:, None] - knots[None]) / (period / 2)
        near, far = 2 / 3 - distance**2 * (2 - distance) / 2, (2 - distance).clip(min=0) ** 3 / 6
        bases.append(np.where(distance < 1, near, far).astype(np.float32))
    field = rng.standard_normal([basis.shape[1] for basis in bases]).astype(np.float32)
    for axis, basis in enumerate(bases):
        field = np.moveaxis(np.tensordot(basis, field, (1, axis)), 0, axis)
    return field * np.float32(3.0)  # a cubic B-spline expansion of unit noise has a deviation of 1/3


def random_waves(positions: np.ndarray, wavelength: float, rng: np.random.Generator) -> np.ndarray:
    """A sum of plane waves of nearly one wavelength in random directions.

    Its zeros are winding sheets about half a wavelength apart.

    Args:
        positions: points (n, 3) in mm.
        wavelength: mm; each wave's differs by up to 15 %.
        rng: the source of randomness.

    Returns:
        The field (n,), float32, of mean 0 and unit variance.
    """
    wave = rng.standard_normal((_WAVES, 3))
    wave *= 2 * np.pi / wavelength * rng.uniform(0.87, 1.15, (_WAVES, 1)) / np.linalg.norm(wave, axis=1, keepdims=True)
    phase = rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)
    field = np.empty(len(positions), np.float32)
    for start in range(0, len(positions), _BATCH):
        part = slice(start, start + _BATCH)
        field[part] = np.cos(positions[part] @ wave.T.astype(np.float32) + phase).sum(1)
    return field * np.float32(np.sqrt(2 / _WAVES))
