"""Other brains and other scanners: random shapes and contrasts of a box cut from a training volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ...transforms.line_operators import FWHM_PER_SIGMA, sampling_matrix
from ...transforms.separable import apply_along, as_tensor

_NARROW = 0.1  # voxels: a Gaussian of no width divides by zero


@dataclass(frozen=True)
class AugmentationConfig:
    """How far shape and contrast vary.

    orientations: share of the boxes in any of the cube's 48 orientations; the others are mirrored at most.
    gamma: exponent of the contrast curve, from and to.
    tissue_shift: standard deviation of each tissue's change of intensity.
    bias: largest log-amplitude of the smooth bias field.
    scale: error of the intensity normalization, from and to.
    background: chance that something surrounds the brain.
    synthetic: chance that the contrast is made from the label map alone (domain randomization, Billot et al., 2023).
    deformation: chance of a rotation and elastic deformation, up to `rotation` degrees and `elastic` voxels.
    stripping: chance that the fluid around the brain is cut away, wholly or in part, as tight brain masks do, with a
        voxel of the cortex at times; `fluid` names its labels.
    hard_edge: chance that all around the brain is zero, up to the last voxel of a mask, as brain masks do.
    masked: chance that input and target are cut by a brain mask after the interpolation, as prediction does.
        `surroundings` names the labels that lie outside of the brain, such as dura and skull.
    blur: largest standard deviation, voxels, of a blur of the true volume itself, in half of the boxes and in some
        places more than in others: many volumes are smoother than their voxels.
    """

    orientations: float = 1.0
    gamma: tuple[float, float] = (0.65, 1.5)
    tissue_shift: float = 0.06
    bias: float = 0.2
    scale: tuple[float, float] = (0.8, 1.15)
    background: float = 0.25
    synthetic: float = 0.0
    deformation: float = 0.0
    rotation: float = 12.0
    elastic: float = 3.0
    stripping: float = 0.0
    fluid: tuple[int, ...] = ()
    hard_edge: float = 0.0
    masked: float = 0.0
    surroundings: tuple[int, ...] = ()
    blur: float = 0.0

    def __post_init__(self) -> None:
        for name in ("orientations", "background", "synthetic", "deformation", "stripping", "hard_edge", "masked"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augmentation.{name} is a chance from 0 to 1, not {getattr(self, name)}.")
        for name in ("gamma", "scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"augmentation.{name} goes from a positive number up, not from {low} to {high}.")
        if min(self.tissue_shift, self.bias, self.rotation, self.elastic, self.blur) < 0:
            raise ValueError("The strengths of the augmentation must not be negative.")
        if self.rotation > 15:
            raise ValueError(f"augmentation.rotation is at most 15 degrees, not {self.rotation}.")
        if self.stripping > 0 and not self.fluid:
            raise ValueError("augmentation.stripping needs augmentation.fluid, the labels of what is stripped.")


def random_orientation(
    crop: np.ndarray, labels: np.ndarray, rng: np.random.Generator, share: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Turn and mirror a box: one of the cube's 48 symmetries, or at most left and right.

    Args:
        crop: (z, y, x) in LPS order, so that x runs from right to left.
        labels: the same shape.
        rng: the source of randomness.
        share: chance of any symmetry; otherwise the box is mirrored along x, or not.
    """
    if rng.random() < share:
        order, flipped = rng.permutation(3), tuple(int(a) for a in np.flatnonzero(rng.random(3) < 0.5))
    else:
        order, flipped = np.arange(3), (2,) if rng.random() < 0.5 else ()
    image, tissue = (np.ascontiguousarray(np.flip(v.transpose(order), flipped)) for v in (crop, labels))
    return image, tissue


def deform(
    image: torch.Tensor, labels: torch.Tensor, side: int, config: AugmentationConfig, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate and bend a box, and keep the cube in its middle.

    Args:
        image: (z, y, x) float32.
        labels: (z, y, x) uint8.
        side: of the result, voxels; smaller than the box, whose rim only feeds the deformation.

    Returns:
        The deformed image (linear interpolation) and labels (nearest), both (side, side, side).
    """
    shape = torch.tensor(image.shape[::-1], dtype=torch.float32)  # (x, y, z), the order of grid_sample
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    rotation = torch.from_numpy(rotation_matrix(np.radians(config.rotation) * rng.uniform(-1, 1, 3)).astype(np.float32))
    nodes = torch.from_numpy(rng.uniform(-1, 1, (1, 3, 5, 5, 5)).astype(np.float32)) * config.elastic
    bend = F.interpolate(nodes, size=(side,) * 3, mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)
    voxels = torch.stack([x, y, z], dim=-1) @ rotation.T + bend  # from the centre of the box
    grid = (voxels * 2 / shape)[None]

    def sample(volume: torch.Tensor, mode: str) -> torch.Tensor:
        return F.grid_sample(volume.float()[None, None], grid, mode=mode, align_corners=False)[0, 0]

    return sample(image, "bilinear"), sample(labels, "nearest").to(labels.dtype)


def strip_fluid(
    image: torch.Tensor, labels: torch.Tensor, fluid: tuple[int, ...], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a brain out, at a random depth: masks end anywhere between the skull and a voxel inside the cortex.

    Args:
        image: (z, y, x) float32.
        labels: (z, y, x) uint8, 0 outside the brain.
        fluid: labels of the fluid.
        rng: the source of randomness.

    Returns:
        Image and labels, both 0 where something was cut away.
    """
    table = torch.ones(256)
    table[[0, *fluid]] = 0
    near = table[labels.long()]
    depth = int(rng.integers(-1, 4))  # voxels of fluid kept around the tissue; -1 takes one of the tissue as well
    if depth < 0:
        near = 1 - _dilated(1 - near)
    for _ in range(depth):
        near = _dilated(near)
    kept = (near > 0) & (labels > 0)
    return image * kept, labels * kept


def random_blur(image: torch.Tensor, largest: float, rng: np.random.Generator) -> torch.Tensor:
    """A Gaussian blur, one time in two: of another width along each axis, and in some places stronger than in others.

    Averages over brains and volumes put together from moving slices are such: sharp here, and smooth there.

    Args:
        image: (z, y, x) float32.
        largest: standard deviation, voxels.
        rng: the source of randomness.
    """
    if rng.random() < 0.5:
        return image
    blurred = image
    for axis, width in enumerate(rng.uniform(0, largest, 3)):
        matrix = sampling_matrix(image.shape[axis], image.shape[axis], 1.0, max(width, _NARROW) * FWHM_PER_SIGMA)
        blurred = apply_along(blurred, as_tensor(matrix, image), axis)
    strength = _smooth_field(rng.uniform(-0.5, 1.5, (4, 4, 4)), image).clamp_(0, 1)
    return torch.lerp(image, blurred, strength)


def synthetic_intensity(labels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Intensities drawn for each tissue, with a texture: any contrast that a scanner could make, and more.

    Args:
        labels: (z, y, x) uint8, 0 outside the brain.

    Returns:
        (z, y, x) float32 in [0, 1] or slightly above; 0 outside the brain.
    """
    tissues = 256
    mean = torch.from_numpy(rng.uniform(0.05, 1.0, tissues).astype(np.float32))
    spread = torch.from_numpy(rng.uniform(0.0, 0.08, tissues).astype(np.float32))
    mean[0] = spread[0] = 0
    index = labels.long()
    fine = torch.from_numpy(rng.standard_normal(tuple(labels.shape), np.float32))
    nodes = tuple(max(2, n // 4) for n in labels.shape)
    coarse = torch.from_numpy(rng.standard_normal(nodes, np.float32))[None, None]
    coarse = F.interpolate(coarse, size=labels.shape, mode="trilinear", align_corners=True)[0, 0]
    image = mean[index] + spread[index] * (fine + coarse)
    for _ in range(int(rng.integers(1, 3))):
        image = _smooth(image)
    return image.clamp_(min=0)


def random_contrast(
    intensity: torch.Tensor, labels: torch.Tensor, config: AugmentationConfig, rng: np.random.Generator
) -> torch.Tensor:
    """Another scanner: tissue intensities, contrast curve, surroundings, bias field and scale.

    Args:
        intensity: (z, y, x) float32.
        labels: (z, y, x) uint8, 0 outside the brain.
    """
    shift = torch.from_numpy(rng.normal(0, config.tissue_shift, 256).astype(np.float32))
    shift[0] = 0
    intensity = intensity + _smooth(shift[labels.long()])
    if rng.random() < config.background:
        inside = (labels > 0).float()
        gap = _smooth(_smooth(inside))  # the surroundings do not touch the cortex
        around = _smooth_field(rng.uniform(0.0, 0.9, (5, 5, 5)), intensity)
        intensity = intensity + around * rng.uniform(0.2, 1.0) * (1 - gap) * (1 - inside)
    intensity = intensity.clamp(min=0) ** rng.uniform(*config.gamma)
    field = _smooth_field(rng.uniform(-config.bias, config.bias, (4, 4, 4)), intensity)
    return intensity * field.exp() * rng.uniform(*config.scale)


def _smooth_field(nodes: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """A few random nodes, interpolated to a smooth field of the size of `like`."""
    coarse = torch.from_numpy(nodes.astype(np.float32))[None, None]
    return F.interpolate(coarse, size=like.shape, mode="trilinear", align_corners=True)[0, 0]


def _dilated(mask: torch.Tensor) -> torch.Tensor:
    """A mask (z, y, x) of 0 and 1 and the voxels that touch it."""
    return F.max_pool3d(mask[None, None], 3, stride=1, padding=1)[0, 0]


def _smooth(volume: torch.Tensor) -> torch.Tensor:
    """Mean over 3^3 voxels: tissue borders are never sharper than a voxel."""
    return F.avg_pool3d(volume[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of three angles in radians, around the first, second and third axis in turn."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
