"""Training patches: a random piece of a random brain, as a random scanner would have seen it.

The observation model runs on the patch and a margin around it, so every patch has its own slice thickness, axis,
contrast, scale and noise. All of it is matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...transforms.line_operators import THICK, damped_inverse, damping, sampling_matrix, spline_matrix
from ...transforms.separable import apply_along, as_tensor
from .augmentation import (
    AugmentationConfig,
    deform,
    random_blur,
    random_contrast,
    random_orientation,
    strip_fluid,
    synthetic_intensity,
)
from .subject import Subject, brain_table

_MASK_FROM = (0.3, 0.7)  # share of brain in a voxel from which a mask holds it
_TRIES = 20  # draws of a crop before the one with the most brain is taken
_WARP_MARGIN = 1.25  # a deformed box needs more around it: a rotation by 15 degrees widens a cube by 1.22


@dataclass(frozen=True)
class SimulationConfig:
    """What varies from patch to patch, each drawn uniformly between its bounds.

    patch: side of a patch, voxels.
    factor: slice spacing over voxel spacing, along one random axis (used when no slice thickness in mm is given).
    inplane_factor: the same for each of the other two axes, three times out of ten (1 = as sharp as the output).
    thickness_ratio: slice thickness over slice spacing; below 1 there are gaps, above 1 slices overlap.
    zoom: voxels per voxel of the training volume; anisotropic_zoom: its log-difference between axes.
    usual_factor, usual_zoom: narrower bounds for half of the patches, each on its own; None has none.
    noise: largest standard deviation of the noise of the acquisition.
    label_share: share of the patches around a voxel of a class to segment, each class equally often, so that small
        ones are seen in training, too; the others are around any tissue.
    mask_overlap: smallest share of the patch inside the brain.
    consistent_input: the network gets interpolated slices that were brought to agreement with the scan, see
        `card.ModelCard`; None does what the model does that the training starts from, else does not.
    """

    patch: int = 64
    factor: tuple[float, float] = (2.0, 6.5)
    inplane_factor: tuple[float, float] = (1.0, 1.4)
    thickness_ratio: tuple[float, float] = (1.0, 1.0)
    zoom: tuple[float, float] = (0.8, 1.6)
    anisotropic_zoom: float = 0.08
    usual_factor: tuple[float, float] | None = None
    usual_zoom: tuple[float, float] | None = None
    noise: float = 0.03
    label_share: float = 0.75
    mask_overlap: float = 0.0
    consistent_input: bool | None = None
    augmentation: AugmentationConfig = AugmentationConfig()

    def __post_init__(self) -> None:
        for name in ("factor", "inplane_factor", "thickness_ratio", "zoom", "usual_factor", "usual_zoom"):
            low, high = getattr(self, name) or (1.0, 1.0)
            if not 0 < low <= high:
                raise ValueError(f"simulation.{name} goes from a positive number up, not from {low} to {high}.")
        if self.patch < 8:
            raise ValueError(f"A patch has a side of at least 8 voxels, not {self.patch}.")
        for name in ("label_share", "mask_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"simulation.{name} lies between 0 and 1, not at {getattr(self, name)}.")
        if self.noise < 0 or self.anisotropic_zoom < 0:
            raise ValueError("simulation.noise and simulation.anisotropic_zoom must not be negative.")


def simulate_patch(
    subject: Subject,
    config: SimulationConfig,
    rng: np.random.Generator,
    thickness: tuple[float, float] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one training patch; see `simulate_slices`."""
    return simulate_slices(subject, config, rng, thickness)[:2]


def simulate_slices(
    subject: Subject,
    config: SimulationConfig,
    rng: np.random.Generator,
    thickness: tuple[float, float] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Draw one training patch, and say how far its slices are apart.

    Args:
        subject: where to take it from.
        config: what varies.
        rng: the only source of randomness.
        thickness: slice spacing in mm, from and to; overrides `config.factor`.

    Returns:
        input (1, patch, patch, patch), the interpolated low resolution, and target (1 + classes, patch, patch, patch):
        the high resolution on the same scale, and the share of each class in each voxel; then the channels of
        `Subject.mask`. float32. Then the slice spacing in mm.
    """
    zoom = _draw(config.zoom, config.usual_zoom, rng)
    factor = _draw(config.factor, config.usual_factor, rng)
    if thickness is not None:
        factor = max(1.0, float(rng.uniform(*thickness)) * zoom / subject.spacing)
    margin = int(np.ceil(2.5 * factor))
    side = config.patch + 2 * margin
    zooms = zoom * np.exp(rng.uniform(-1, 1, 3) * config.anisotropic_zoom)
    scene = _random_scene(subject, np.ceil(side / zooms).astype(int) + 2, config.patch / side, config, rng)
    for axis in range(3):
        length = scene[0].shape[axis]
        positions = (np.arange(side) - side / 2) / zooms[axis] + (length - 1) / 2
        matrix = as_tensor(spline_matrix(length, positions), scene[0])
        scene = [apply_along(volume, matrix, axis) for volume in scene]
    intensity, brain, *shares = scene
    intensity.clamp_(min=0)
    if rng.random() < config.augmentation.hard_edge:  # masks are made of voxels, so they are cut after the zoom
        intensity *= brain > rng.uniform(0.4, 0.95)
    low = _observe(intensity, factor, config, rng)
    if rng.random() < config.augmentation.masked:
        inside = brain > rng.uniform(*_MASK_FROM)
        low, intensity, shares = low * inside, intensity * inside, [share * inside for share in shares]
        brain = brain * inside
    inner = (slice(margin, margin + config.patch),) * 3
    shares = [share[inner].clamp_(0, 1) for share in shares]
    if subject.mask is not None:
        shares += subject.mask.shares(brain[inner].clamp_(0, 1))
    return low[inner][None], torch.stack([intensity[inner], *shares]), factor * subject.spacing / zoom


def _draw(bounds: tuple[float, float], usual: tuple[float, float] | None, rng: np.random.Generator) -> float:
    return float(rng.uniform(*(usual if usual is not None and rng.random() < 0.5 else bounds)))


def _random_scene(
    subject: Subject, size: np.ndarray, share: float, config: SimulationConfig, rng: np.random.Generator
) -> list[torch.Tensor]:
    """A box of the brain with a random shape and contrast: intensity, brain, each class (z, y, x), all float32.

    The patch is the middle of the box, `share` of each side; the rest is what its observation depends on.
    """
    augmentation = config.augmentation
    warp = rng.random() < augmentation.deformation
    wider = _WARP_MARGIN if warp else 1.0
    crop, labels = _random_crop(subject, np.ceil(size * wider).astype(int), share / wider, config, rng)
    crop, labels = random_orientation(crop, labels, rng, augmentation.orientations)
    image, tissue = torch.from_numpy(crop), torch.from_numpy(labels)
    if warp:
        image, tissue = deform(image, tissue, int(size.max()), augmentation, rng)
    if augmentation.blur > 0:
        image = random_blur(image, augmentation.blur, rng)
    if augmentation.stripping > 0 and rng.random() < augmentation.stripping:
        image, tissue = strip_fluid(image, tissue, augmentation.fluid, rng)
    if rng.random() < augmentation.synthetic:
        image = synthetic_intensity(tissue, rng)
    image = random_contrast(image, tissue, augmentation, rng)
    classes = torch.from_numpy(subject.class_table)[tissue.long()]
    brain = torch.from_numpy(brain_table(augmentation.surroundings))[tissue.long()]
    return [image, brain, *((classes == number).float() for number in range(1, 1 + len(subject.wanted)))]


def _random_crop(
    subject: Subject, size: np.ndarray, share: float, config: SimulationConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a box around a random voxel; zero outside the volume."""
    best, most = np.zeros(3, int), -1.0
    inner = np.ceil(size * share).astype(int)
    for _ in range(_TRIES):
        voxels = _drawn_class(subject, rng) if rng.random() < config.label_share else subject.brain_voxels
        centre = np.array(np.unravel_index(voxels[rng.integers(len(voxels))], subject.labels.shape))
        start = centre - size // 2 + rng.integers(-8, 9, 3)
        if config.mask_overlap == 0:
            return _box(subject.intensity, start, size), _box(subject.labels, start, size)
        overlap = float(np.count_nonzero(_box(subject.labels, start + (size - inner) // 2, inner)) / inner.prod())
        if overlap > most:
            best, most = start, overlap
        if overlap >= config.mask_overlap:
            break
    return _box(subject.intensity, best, size), _box(subject.labels, best, size)


def _drawn_class(subject: Subject, rng: np.random.Generator) -> np.ndarray:
    voxels = subject.class_voxels
    return voxels[rng.integers(len(voxels))] if len(voxels) > 1 else voxels[0]


def _box(volume: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    box = np.zeros(size, volume.dtype)
    low, high = np.maximum(start, 0), np.minimum(start + size, volume.shape)
    if np.all(high > low):
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        place = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        box[place] = volume[source]
    return box


def _observe(
    intensity: torch.Tensor, factor: float, config: SimulationConfig, rng: np.random.Generator
) -> torch.Tensor:
    """Eq. 1 and S-up on one box: thick slices along one axis, noise, spline interpolation back to what a model gets."""
    side = intensity.shape[0]
    ratio = rng.uniform(*config.thickness_ratio)
    steps = [(factor, ratio)]
    steps += [(rng.uniform(*config.inplane_factor) if rng.random() < 0.3 else 1.0, 1.0) for _ in range(2)]
    steps = [steps[k] for k in rng.permutation(3)]
    low = intensity
    for axis, (step, width) in enumerate(steps):
        if step > 1:
            low = apply_along(low, as_tensor(sampling_matrix(side, round(side / step), step, step * width), low), axis)
    deviation = rng.uniform(0, config.noise)
    noise = rng.standard_normal(tuple(low.shape), np.float32) * deviation
    low = (low + torch.from_numpy(noise.astype(np.float32))).clamp_(min=0)
    for axis in sorted(range(3), key=lambda axis: steps[axis][0]):  # the thick axis last
        step = steps[axis][0]
        if step > 1:
            agree = damping(deviation) if config.consistent_input and step > THICK else None
            low = _interpolate(low, axis, step, side, agree)
    return low


def _interpolate(low: torch.Tensor, axis: int, step: float, side: int, ridge: float | None) -> torch.Tensor:
    """Splines along one axis, to `side` voxels; with a ridge it agrees with the slices, see `DataConsistency`."""
    slices = low.shape[axis]
    positions = (np.arange(side) + 0.5) / step - 0.5
    fine = apply_along(low, as_tensor(spline_matrix(slices, positions), low), axis)
    if ridge is None:
        return fine
    observe = sampling_matrix(side, slices, step, step)
    rest = low - apply_along(fine, as_tensor(observe, low), axis)
    return fine + apply_along(rest, as_tensor(np.ascontiguousarray(damped_inverse(observe, ridge)), low), axis)
