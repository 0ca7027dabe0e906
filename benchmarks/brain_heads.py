"""Heads with known brains to judge the brain extraction by: made otherwise than those that it was trained on.

Real brains of subjects that the training did not see, at their own resolution, in convex skulls with bumps, on necks of
tapered cylinders; mothers of Voronoi cells; polynomial bias; noise that grows away from the coils; slices by the
observation model of `transforms.acquisition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, spatial

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.transforms.acquisition import acquire

_NEWBORNS = ("gousias2012/sub-ALBERT01", "gousias2012/sub-ALBERT08", "gousias2012/sub-ALBERT16")
_FETUSES = tuple(
    f"fidon2021/sub-SBA{week}" for week in ("21", "23", "25", "25op", "27op", "29op", "31op", "33op")
) + tuple(f"xu2022/sub-CHN{week}" for week in range(23, 39, 2))
_SURROUNDINGS = 9


@dataclass(frozen=True)
class Head:
    """A scan, its true brain mask on the same grid, and how it was made."""

    name: str
    kind: str
    scan: sitk.Image
    brain: sitk.Image


def heads(root: Path, each: int, seed: int = 7) -> Iterator[Head]:
    """So many newborns' heads, then so many fetuses in their mothers."""
    for kind, subjects in (("newborn", _NEWBORNS), ("fetus", _FETUSES)):
        for k in range(each):
            rng = np.random.default_rng([seed, k, kind == "fetus"])
            folder = root / subjects[k % len(subjects)]
            yield _head(folder, kind, f"{kind}-{k:02d} ({folder.name})", rng)


def _head(folder: Path, kind: str, name: str, rng: np.random.Generator) -> Head:
    fine = _fine_grid(kind, rng)
    image, labels, brain = _placed(folder, fine, kind, rng)
    distance = _distance(brain, fine.spacing[0])
    world = _scenery(brain, distance, fine, kind, rng)
    scan = _with_brain(world, image, labels, brain, rng)
    scan = _measured(scan, brain, rng)
    return _acquired(name, kind, fine, scan, brain, rng)


def _fine_grid(kind: str, rng: np.random.Generator) -> Grid:
    """The world in which the scan is made: 1 mm around newborns, 1.25 mm around mothers, in any direction."""
    size, spacing = ((176, 176, 168), 1.0) if kind == "newborn" else ((256, 224, 104), 1.25)
    direction = spatial.transform.Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    if rng.random() < 0.3:
        direction[:, 0] *= -1  # left-handed
    return Grid(size, (spacing,) * 3, (0.0, 0.0, 0.0), tuple(direction.ravel()))


def _placed(folder: Path, fine: Grid, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (0..1), labels and brain of a subject, turned, scaled and put into the world."""
    files = {key: next(folder.glob(f"anat/*{key}.nii.gz")) for key in ("T2w", "dseg", "desc-brain_mask")}
    volumes = {key: sitk.ReadImage(str(path), sitk.sitkFloat32) for key, path in files.items()}
    mask = sitk.GetArrayFromImage(volumes["desc-brain_mask"]) > 0
    index = [float(np.mean(axis)) for axis in reversed(np.nonzero(mask))]
    centre = np.array(volumes["dseg"].TransformContinuousIndexToPhysicalPoint(index))
    reach = np.array((8, 8, 8) if kind == "newborn" else (75, 60, 15))
    middle = (np.array(fine.size) - 1) / 2 * fine.spacing + rng.uniform(-1, 1, 3) * reach
    turn = spatial.transform.Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    transform = sitk.AffineTransform(3)
    scale = rng.uniform(0.9, 1.12) * rng.uniform(0.95, 1.05, 3)
    transform.SetMatrix((turn @ np.diag(1 / scale)).ravel().tolist())
    upright = Grid(fine.size, fine.spacing, fine.origin, tuple(np.eye(3).ravel()))
    transform.SetCenter(middle.tolist())
    transform.SetTranslation((centre - middle).tolist())
    reference = upright.image(np.zeros(fine.shape, np.uint8))
    arrays = {
        key: sitk.GetArrayFromImage(
            sitk.Resample(volume, reference, transform, sitk.sitkNearestNeighbor if key == "dseg" else sitk.sitkLinear)
        )
        for key, volume in volumes.items()
    }
    return arrays["T2w"] / 4000, arrays["dseg"].round().astype(np.uint8), arrays["desc-brain_mask"] > 0.5


def _distance(brain: np.ndarray, spacing: float) -> np.ndarray:
    """Millimetres to the brain, 0 inside."""
    return ndimage.distance_transform_edt(~brain, sampling=spacing).astype(np.float32)


def _bumps(shape: tuple[int, ...], rng: np.random.Generator, waves: float = 3.0) -> np.ndarray:
    """A sum of a few plane waves, about unit deviation."""
    grids = np.meshgrid(*[np.linspace(0, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    total = np.zeros(shape, np.float32)
    for _ in range(6):
        k = rng.normal(0, waves * 2, 3)
        total += np.cos(sum(a * g for a, g in zip(k, grids, strict=True)) * 2 + rng.uniform(0, 6.28))
    return total / np.sqrt(3)


def _cells(shape: tuple[int, ...], count: int, rng: np.random.Generator) -> np.ndarray:
    """Voronoi cells, numbered, at a third of the resolution and blown up."""
    small = [-(-n // 3) for n in shape]
    points = rng.uniform(0, 1, (count, 3)) * small
    at = np.stack(np.meshgrid(*[np.arange(n) for n in small], indexing="ij"), -1).reshape(-1, 3)
    stretch = rng.uniform(0.5, 1.5, 3)
    nearest = spatial.cKDTree(points * stretch).query(at * stretch, workers=1)[1].reshape(small)
    return nearest.repeat(3, 0).repeat(3, 1).repeat(3, 2)[: shape[0], : shape[1], : shape[2]]


def _scenery(brain: np.ndarray, distance: np.ndarray, fine: Grid, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Brightness of all that is not brain: a convex skull with skin, a neck, and a mother around a fetus."""
    shape, s = brain.shape, fine.spacing[0]
    thin = 1.0 if kind == "newborn" else 0.5
    vault = ndimage.gaussian_filter(brain.astype(np.float32), 7 / s) > 0.35
    outer = np.minimum(distance, ndimage.distance_transform_edt(~vault, sampling=s).astype(np.float32))
    skull = 1.0 + thin * rng.uniform(1.0, 4.0) * (1 + 0.3 * _bumps(shape, rng))
    skin = skull + thin * rng.uniform(2.0, 9.0) * (1 + 0.3 * _bumps(shape, rng))
    world = _mother(distance, fine, rng) if kind == "fetus" else np.zeros(shape, np.float32)
    neck = _neck(brain, s, rng) & (distance > 1)
    world[neck] = rng.uniform(0.1, 0.5) + 0.08 * _bumps(shape, rng, 12)[neck]
    world[outer < skin] = rng.uniform(0.15, 0.9)
    world[outer < skull] = rng.uniform(0.02, 0.25)
    return world


def _neck(brain: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """A tapered cylinder from the brain's middle in any direction: face, neck or shoulder."""
    centre, half = ndimage.center_of_mass(brain), np.cbrt(brain.sum() * 0.24)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    at = np.meshgrid(
        *[np.arange(n, dtype=np.float32) - c for n, c in zip(brain.shape, centre, strict=True)],
        indexing="ij",
        sparse=True,
    )
    along = sum(d * a for d, a in zip(direction, at, strict=True))
    across = np.sqrt(np.maximum(sum(a * a for a in at) - along**2, 0))
    return (along > 0) & (across < half * rng.uniform(0.6, 1.0) + 0.1 * along) & (along < half * 6)


def _mother(distance: np.ndarray, fine: Grid, rng: np.random.Generator) -> np.ndarray:
    shape = distance.shape
    cells = _cells(shape, int(rng.integers(60, 500)), rng)
    world = (rng.uniform(0.05, 0.75, cells.max() + 1).astype(np.float32) ** 1.3)[cells]
    world = ndimage.gaussian_filter(world, 0.7) + 0.04 * _bumps(shape, rng, 15)
    for _ in range(int(rng.integers(2, 8))):
        world[_blob(shape, rng)] = rng.uniform(0.0, 1.1)
    pool = rng.uniform(-4, 25) + 8 * _bumps(shape, rng)
    world[distance < pool + rng.uniform(3, 12)] = rng.uniform(0.2, 0.6)
    world[distance < pool] = rng.uniform(0.75, 1.1)
    at = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    radius = (
        at[1] ** 2 / rng.uniform(0.7, 1.3) ** 2 + at[2] ** 2 / rng.uniform(0.7, 1.3) ** 2 + 0.03 * _bumps(shape, rng)
    )
    safe = distance > 12
    world[(radius > 0.75) & safe] = rng.uniform(0.4, 1.1)
    world[(radius > 1.0) & safe] = 0.0
    return world


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A turned ellipsoid anywhere."""
    turn = spatial.transform.Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    centre, radii = rng.uniform(0, 1, 3) * shape, rng.uniform(5, 32, 3)
    at = np.meshgrid(
        *[np.arange(n, dtype=np.float32) - c for n, c in zip(shape, centre, strict=True)], indexing="ij", sparse=True
    )
    return (
        sum((sum(t * a for t, a in zip(row, at, strict=True)) / r) ** 2 for row, r in zip(turn, radii, strict=True)) < 1
    )


def _with_brain(
    world: np.ndarray, image: np.ndarray, labels: np.ndarray, brain: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The brain in its world: as it was scanned, with its own dura, or drawn from its labels with another contrast."""
    level = rng.uniform(0.75, 1.15) / max(np.percentile(image[brain], 99), 1e-6)
    if rng.random() < 0.65:
        drawn, shown = image * level, brain | ((labels == _SURROUNDINGS) & (rng.random() < 0.7))
    else:
        table = np.array([0, 0.55, 1, 0.45, 0.95, 0.4, 0.42, 0.4, 0.5, 0.1, 0.4]) * rng.uniform(0.8, 1.2, 11)
        drawn = ndimage.gaussian_filter(table.astype(np.float32)[labels], 0.6) * (
            1 + 0.04 * _bumps(world.shape, rng, 20)
        )
        shown = brain
    return np.where(shown, drawn, world).astype(np.float32)


def _measured(scan: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Polynomial bias, and Rician noise that grows away from one side."""
    at = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in scan.shape], indexing="ij", sparse=True)
    bias = sum(rng.uniform(-0.2, 0.2) * a**p for a in at for p in (1, 2, 3)) + rng.uniform(-0.15, 0.15) * at[0] * at[1]
    level = rng.uniform(0.005, 0.06) * (1 + 0.5 * at[int(rng.integers(3))])
    real = scan * np.exp(bias) + level * rng.standard_normal(scan.shape, np.float32)
    return np.hypot(real, level * rng.standard_normal(scan.shape, np.float32)).astype(np.float32)


def _acquired(name: str, kind: str, fine: Grid, scan: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> Head:
    """Slices of 1.25 to 6 mm along any axis, in a field that cuts the skull in one of five scans."""
    axis = int(rng.integers(3)) if kind == "newborn" else 2
    spacing = list(fine.spacing)
    spacing[axis] = float(rng.uniform(1.25, 6.0))
    thick = acquire(fine.image(scan), spacing)
    truth = acquire(fine.image(brain.astype(np.float32)), spacing) > 0.5
    if rng.random() < 0.2:
        thick, truth = _cut(thick, truth, rng)
    return Head(f"{name}, {spacing[axis]:.1f} mm", kind, thick, truth)


def _cut(scan: sitk.Image, truth: sitk.Image, rng: np.random.Generator) -> tuple[sitk.Image, sitk.Image]:
    """Both without what lies beyond one face through the outer quarter of the brain."""
    found = np.nonzero(sitk.GetArrayViewFromImage(truth))
    axis = int(rng.integers(3))
    low, high = int(found[2 - axis].min()), int(found[2 - axis].max())
    upper = [0, 0, 0]
    upper[axis] = max(0, scan.GetSize()[axis] - 1 - round(high - (high - low) * rng.uniform(0.02, 0.25)))
    return sitk.Crop(scan, [0, 0, 0], upper), sitk.Crop(truth, [0, 0, 0], upper)
