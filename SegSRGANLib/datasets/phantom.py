"""A procedural neonatal brain with known truth, for the demonstration and the tests.

Everything is computed from formulas and a seed; no image of any subject is involved. Because the anatomy is a set of
signed distance fields in mm, the same brain can be drawn at any voxel size. The hemispheres are folded by carving thin
sheets, the sulci, along winding curves on their surface; the cortex is then the band of about constant depth under the
folded surface. The tissues are painted over each other, with their partial volume at the borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..utils.triples import triple
from .implicit_shapes import Points, coverage, intersection, random_waves, smooth_noise, union
from .phantom_anatomy import FAR, DeepStructures, anatomical_points, cerebrum, deep_structures

EXTENT = (96.0, 112.0, 96.0)  # field of view in mm, (x, y, z)

WHITE_MATTER, VENTRICLES, CEREBELLUM, CSF, CORTEX, DEEP_GREY, BRAINSTEM, CALLOSUM = range(1, 9)

# T2-weighted intensities in arbitrary units, with the ratios of the fetal atlas at 36 weeks (Gholipour et al. 2017):
# white matter is not yet myelinated, and so brighter than cortex.
INTENSITY = {
    WHITE_MATTER: 1670.0,
    VENTRICLES: 2700.0,
    CEREBELLUM: 1330.0,
    CSF: 2350.0,
    CORTEX: 1230.0,
    DEEP_GREY: 1400.0,
    BRAINSTEM: 1170.0,
    CALLOSUM: 1270.0,
}

_SULCUS_WAVELENGTH = 17.5  # mm; neighbouring sulci are then 8 to 12 mm apart
_SULCUS_DEPTH = (1.5, 13.5)  # mm
_CORTEX_THICKNESS = 2.0  # mm


@dataclass(frozen=True)
class Phantom:
    """A synthetic neonatal brain.

    t2w: T2-weighted volume, float32, not negative, 0 outside the head.
    labels: uint8 on the same grid: 0 background, 1 white matter, 2 ventricles, 3 cerebellum, 4 extra-axial CSF,
        5 cortical grey matter, 6 deep grey matter, 7 brainstem, 8 corpus callosum (the codes of the fetal atlases).
    """

    t2w: sitk.Image
    labels: sitk.Image

    @property
    def mask(self) -> sitk.Image:
        """Everything inside the skull, CSF included: uint8, 0 or 1."""
        return sitk.Cast(self.labels > 0, sitk.sitkUInt8)


def neonatal_phantom(spacing: float = 0.8, seed: int = 0, noise: float = 0.0) -> Phantom:
    """Draw a neonatal brain of about 360 mL, CSF included, in a field of view of 96 x 112 x 96 mm.

    Args:
        spacing: isotropic voxel size in mm. The time grows with the number of voxels: about two seconds at 0.8 mm.
            A sulcus is at least one voxel wide, so beyond 1 mm the sulci are wider than in life.
        seed: the same seed gives the same brain at every spacing, another seed another brain.
        noise: standard deviation of the noise in each of the two channels of a magnitude image (Rician noise), as a
            fraction of the intensity of the ventricles.

    Raises:
        ValueError: a spacing outside 0.3 to 4 mm, or a noise that is negative or not a number.
    """
    if not 0.3 <= spacing <= 4:
        raise ValueError(f"The phantom's spacing must be between 0.3 and 4 mm, not {spacing}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"The phantom's noise must be a fraction of 0 or more, not {noise}.")
    rng = np.random.default_rng(seed)
    brain = _build(_centred_grid(spacing), rng)
    t2w, labels = _paint(brain, rng)
    if noise:
        channels = noise * INTENSITY[VENTRICLES] * rng.standard_normal((2, *t2w.shape), dtype=np.float32)
        t2w = np.hypot(t2w + channels[0], channels[1]).astype(np.float32)
    return Phantom(brain.grid.image(t2w), brain.grid.image(labels))


def _centred_grid(spacing: float) -> Grid:
    """An LPS grid over `EXTENT` with the origin of space in its centre."""
    size = triple(round(extent / spacing) for extent in EXTENT)
    origin = triple(-spacing * (n - 1) / 2 for n in size)
    return Grid(size, (spacing, spacing, spacing), origin, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class _Brain:
    """The shapes to paint, as signed distances in mm, (z, y, x) float32."""

    grid: Grid
    axes: tuple[np.ndarray, ...]  # voxel positions in mm along (z, y, x)
    points: Points
    deep: DeepStructures
    head: np.ndarray  # the inside of the skull
    pial: np.ndarray  # the folded hemispheres
    white: np.ndarray


def _build(grid: Grid, rng: np.random.Generator) -> _Brain:
    spacing = grid.spacing[0]
    axes = tuple((grid.origin[k] + spacing * np.arange(grid.size[k])).astype(np.float32) for k in (2, 1, 0))
    points = anatomical_points(axes, rng)
    deep = deep_structures(points, axes)
    outline, hemispheres = cerebrum(points)
    head = union(outline, np.minimum(deep.cerebellum, deep.stem), 14) - np.float32(1.9)
    shell = union(hemispheres, deep.core, 1.5)
    # gyri are rounded, and so is the lip of a sulcus
    pial = intersection(shell, -_sulci(shell, points[0], deep.core, axes, rng), 2.5)
    # The nearest voxel centre outside lies on average a quarter of a voxel behind the surface (measured).
    depth = _distance_to(pial >= 0, spacing) - np.float32(spacing / 4)
    thickness = np.float32(_CORTEX_THICKNESS) + np.float32(0.2) * smooth_noise(axes, 20, rng)
    white = np.minimum(thickness - depth, intersection(deep.core, pial, 1))
    return _Brain(grid, axes, points, deep, head, pial, white)


def _sulci(
    shell: np.ndarray, side: np.ndarray, core: np.ndarray, axes: tuple[np.ndarray, ...], rng: np.random.Generator
) -> np.ndarray:
    """Signed distance of thin sheets that enter the shell along the zeros of random waves on its surface.

    Every voxel near the surface looks up the wave at its foot point on the surface, so the sheets follow the normals;
    a smooth shear bends them. Their depth varies, and vanishes where the hemispheres join (`core`).
    """
    spacing = float(axes[0][1] - axes[0][0])
    image = sitk.GetImageFromArray(_distance_to(shell < 0, spacing))
    image.SetSpacing((spacing,) * 3)
    distance = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, [1.2] * 3))
    near = (distance > -17) & (distance < 3)
    normals = np.stack([slope[near] for slope in np.gradient(distance, spacing)], 1).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-3)
    depth = -distance[near]
    shear = np.stack([smooth_noise(axes, 24, rng)[near] for _ in range(3)], 1)
    positions = np.stack([p[near] for p in np.meshgrid(*axes, indexing="ij")], 1)
    feet = positions + depth[:, None] * normals + (1.5 + 0.22 * depth[:, None]) * shear
    wave = np.zeros(shell.shape, np.float32)
    wave[near] = random_waves(feet.astype(np.float32), _SULCUS_WAVELENGTH, rng)
    slope = np.sqrt(sum(component[near] ** 2 for component in np.gradient(wave, spacing)))
    typical = np.float32(2 * np.pi / _SULCUS_WAVELENGTH / np.sqrt(3))
    across = np.abs(wave[near]) / np.hypot(slope.clip(None, 3 * typical), 0.4 * typical)
    reach = (7.5 + 3.5 * smooth_noise(axes, 20, rng)[near]).clip(*_SULCUS_DEPTH)
    reach *= (core[near] / 7).clip(0, 1) * (side[near] / 12).clip(0.45, 1)  # shallow on the medial wall
    half_width = np.maximum(0.42 + 0.5 * np.exp(-depth.clip(0) / 2), 0.6 * spacing)
    sheets = np.full(shell.shape, FAR, np.float32)
    sheets[near] = intersection(across - half_width, depth - reach, 1.5)
    return sheets


def _distance_to(shape: np.ndarray, spacing: float) -> np.ndarray:
    """Distance in mm to the nearest voxel centre of a shape, 0 or less inside it."""
    image = sitk.GetImageFromArray(shape.astype(np.uint8))
    image.SetSpacing((spacing,) * 3)
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    )


class _Canvas:
    """The volume and its labels while the shapes are painted over each other."""

    def __init__(self, grid: Grid) -> None:
        self.t2w = np.zeros(grid.shape, np.float32)
        self.labels = np.zeros(grid.shape, np.uint8)
        self._spacing = grid.spacing[0]

    def paint(self, field: np.ndarray, value: np.ndarray | float, label: int | None = None, soft: float = 0.0) -> None:
        """Cover what is inside the field, and half of each voxel on its border (`soft` mm more than a voxel)."""
        self.t2w += coverage(field, self._spacing + soft) * (value - self.t2w)
        if label is not None:
            self.labels[field < 0] = label


def _paint(brain: _Brain, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Intensity (float32) and labels (uint8), (z, y, x)."""
    deep = brain.deep

    def texture(period: float, deviation: float) -> np.ndarray:
        return 1 + np.float32(deviation) * smooth_noise(brain.axes, period, rng)

    canvas = _Canvas(brain.grid)
    at_skull = np.exp(brain.head.clip(None, 0) / 1.2)  # meninges and vessels darken the outermost CSF
    canvas.paint(brain.head, INTENSITY[CSF] * texture(14, 0.05) + 200 - 500 * at_skull, CSF)
    canvas.paint(brain.pial, INTENSITY[CORTEX] * texture(12, 0.03), CORTEX)
    periventricular = 1 + 0.09 * np.exp(-deep.ventricles.clip(0) / 5)
    canvas.paint(brain.white, INTENSITY[WHITE_MATTER] * periventricular * texture(24, 0.03), WHITE_MATTER)
    canvas.paint(deep.grey, INTENSITY[DEEP_GREY], DEEP_GREY, soft=2)
    canvas.paint(deep.callosum, INTENSITY[CALLOSUM], CALLOSUM)
    canvas.paint(deep.stem, INTENSITY[BRAINSTEM] * texture(8, 0.06), BRAINSTEM)
    _paint_cerebellum(canvas, brain, rng)
    canvas.paint(deep.ventricles, INTENSITY[VENTRICLES], VENTRICLES)
    is_tissue = (canvas.labels != CSF) & (canvas.labels != VENTRICLES)
    t2w = canvas.t2w * np.where(is_tissue, texture(6, 0.03), 1) * texture(70, 0.03)
    # The point spread of an acquisition: without it, sheets about one voxel wide alias into dotted lines.
    blurred = sitk.DiscreteGaussian(sitk.GetImageFromArray(t2w.astype(np.float32)), [0.25] * 3)
    return sitk.GetArrayFromImage(blurred).clip(0), canvas.labels


def _paint_cerebellum(canvas: _Canvas, brain: _Brain, rng: np.random.Generator) -> None:
    """Folia: fissures that fan out from the fourth ventricle, and white matter that branches between them."""
    side, anterior, up = brain.points
    angle = np.arctan2(up + 26, -(anterior + 9))
    folia = np.cos(26 * angle + side / 12 + smooth_noise(brain.axes, 14, rng))
    surface = brain.deep.cerebellum
    canvas.paint(surface + 2.8 * folia.clip(0) ** 6, INTENSITY[CEREBELLUM], CEREBELLUM)
    canvas.paint(surface + 3.5 + 1.5 * folia, 1.15 * INTENSITY[CEREBELLUM])
