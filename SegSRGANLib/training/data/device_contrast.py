"""Another scanner's intensities, and other surroundings, for a batch of patches on the device.

Shapes: image (N, 1, S, S, S); shares (N, C, S, S, S), of each class and, last, of what is neither a class nor air.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from .device_config import DeviceSimulation
from .device_random import DeviceRandom
from .device_volumes import DeviceVolume
from .slice_bank import along

_T2_ORDER = {"bright": (0.85, 0.1), "middle": (0.55, 0.1), "dark": (0.38, 0.08)}  # mean and SD in T2-weighted newborns
_PARTS = 3  # of a tissue, each with an intensity of its own
_PART_SPREAD = 0.06


def random_contrast(
    draw: DeviceRandom,
    config: DeviceSimulation,
    chosen: Sequence[DeviceVolume],
    image: torch.Tensor,
    shares: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Intensities as another scanner would give them, and (N,) 1 where they come from a real contrast."""
    n = len(chosen)
    has_image = np.array([volume.intensity is not None for volume in chosen])
    synthetic = ~has_image | (draw.numbers.random(n) < config.synthetic)
    made = draw.on_device(synthetic)
    if synthetic.any():
        image = torch.lerp(image, _synthetic(draw, config, chosen, image, shares), made)
    image = _resharpened(draw, config, chosen, image)
    image = image + _mixed(draw.normal(n, shares.shape[1]) * config.tissue_shift, shares)
    image = image.clamp_(min=1e-6) ** draw.uniform(n, *config.gamma)
    field = (draw.smooth_field(n, 1, 4) * draw.uniform(n, 0, config.bias)).exp_()
    return image * field * draw.uniform(n, *config.scale), 1 - made.view(-1)


def random_surroundings(
    draw: DeviceRandom, config: DeviceSimulation, image: torch.Tensor, shares: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cut brains out, put others into something.

    Returns:
        Image and shares, and where a mask will cut the input, (N, 1, S, S, S), 1 = outside.
    """
    n = len(image)
    brain = shares[:, :-1].sum(1, keepdim=True)
    tissue = brain - shares[:, list(config.fluid)].sum(1, keepdim=True)
    field = (draw.smooth_field(n, 1, 6) * 0.5 + 0.5) * draw.uniform(n, 0.1, 0.9)
    empty = (1 - shares.sum(1, keepdim=True)).clamp_(0, 1)
    gap = F.max_pool3d(1 - empty, 5, stride=1, padding=2)  # surroundings do not touch the brain
    around = draw.on_device(draw.numbers.random(n) < config.surrounded)
    image = image + around * field * empty * (1 - gap)
    mode = draw.numbers.random(n)
    stripped, masked = mode < config.stripped, (mode >= config.stripped) & (mode < config.stripped + config.masked)
    kept = torch.maximum(_kept(draw, brain, tissue), draw.on_device(~stripped))
    inside = (brain > draw.uniform(n, 0.3, 0.7)).float()
    loose = draw.on_device(draw.numbers.random(n) < 0.4)
    cut = 1 - torch.lerp(inside, _dilated(inside), loose)
    image = image * kept
    if config.hard_edge > 0:
        soft = draw.on_device(draw.numbers.random(n) >= config.hard_edge)
        image = image * torch.maximum(soft, (brain > draw.uniform(n, 0.4, 0.95)).float())
    return image, shares * kept, cut * draw.on_device(masked)


def _synthetic(
    draw: DeviceRandom,
    config: DeviceSimulation,
    chosen: Sequence[DeviceVolume],
    image: torch.Tensor,
    shares: torch.Tensor,
) -> torch.Tensor:
    """Intensities drawn for each tissue and its parts, with the scan's own texture, or a drawn one without a scan."""
    n, tissues = shares.shape[:2]
    means = torch.from_numpy(_drawn_means(draw.numbers, config, n, tissues)).to(draw.device)
    medians = torch.stack([volume.medians for volume in chosen])
    own = (image - _mixed(medians, shares)) * _mixed(draw.table(n, tissues, -0.4, 1.6), shares)
    grains = 0.6 * draw.normal(*image.shape) + 0.8 * draw.noise_field(n, 2) + 0.8 * draw.noise_field(n, 5)
    drawn = grains * _mixed(draw.table(n, tissues, 0.005, 0.07), shares)
    has_image = np.array([volume.intensity is not None for volume in chosen])
    result = torch.lerp(drawn, own, draw.on_device(has_image * draw.numbers.uniform(0.5, 1.0, n)))
    fields = torch.cat([draw.noise_field(n, 6) for _ in range(_PARTS)], 1)
    weights = torch.softmax(fields * draw.uniform(n, 0, 6), dim=1)
    for part in range(_PARTS):
        values = means + draw.normal(n, tissues) * _PART_SPREAD
        result = result + weights[:, part : part + 1] * _mixed(values, shares)
    return result


def _mixed(values: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """One value a tissue, (N, C), as an image (N, 1, S, S, S)."""
    return torch.einsum("nc,nczyx->nzyx", values, shares)[:, None]


def _drawn_means(rng: np.random.Generator, config: DeviceSimulation, count: int, tissues: int) -> np.ndarray:
    """Mean intensity of each tissue: the order of T2-weighted images in half of the patches, any order else."""
    means = rng.uniform(0.05, 1.0, (count, tissues)).astype(np.float32)
    for k in np.flatnonzero(rng.random(count) < 0.5):
        for name, (middle, deviation) in _T2_ORDER.items():
            level = rng.normal(middle, deviation)
            for tissue in getattr(config, name):
                means[k, tissue] = level + rng.normal(0, 0.04)
        means[k, -1] = rng.uniform(0.03, 0.5)
    return means.clip(0.02, 1.2)


def _resharpened(
    draw: DeviceRandom, config: DeviceSimulation, chosen: Sequence[DeviceVolume], image: torch.Tensor
) -> torch.Tensor:
    """Blur some patches, in some places more; sharpen averages, which are smoother than brains."""
    rng, n = draw.numbers, len(chosen)
    blur = rng.random(n) < config.blurred
    averaged = np.array([volume.averaged for volume in chosen])
    sharpen = ~blur & averaged & (rng.random(n) < config.sharpened)
    widths = np.where(blur[:, None], rng.uniform(0.2, config.blur, (n, 3)), 0.8).astype(np.float32)
    smooth = _blurred(image[:, 0], torch.from_numpy(widths).to(draw.device))[:, None]
    amount = draw.on_device(np.where(sharpen, -rng.uniform(0.2, 1.3, n), 0.0))
    local = draw.on_device(blur) * (0.5 + draw.smooth_field(n, 1, 4)).clamp_(0, 1)
    return image + (amount + local) * (smooth - image)


def _blurred(volumes: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of (N, S, S, S), by (N, 3) standard deviations in voxels."""
    line = torch.arange(volumes.shape[-1], dtype=torch.float32, device=volumes.device)
    distance = (line[:, None] - line[None]) ** 2
    for axis in range(3):
        matrix = torch.exp(-0.5 * distance / widths[:, axis, None, None] ** 2)
        volumes = along(volumes, matrix / matrix.sum(-1, keepdim=True), axis)
    return volumes


def _kept(draw: DeviceRandom, brain: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
    """What is left of a stripped brain: the tissue and up to four voxels of fluid, or a voxel less than the tissue."""
    depth = draw.on_device(draw.numbers.integers(-1, 5, len(brain)))
    near = (tissue > 0.5).float()
    kept = torch.where(depth == -1, 1 - _dilated(1 - near), near)
    for k in range(1, 5):
        near = _dilated(near)
        kept = torch.where(depth == k, near, kept)
    return kept * (brain > 0.4)


def _dilated(mask: torch.Tensor) -> torch.Tensor:
    return F.max_pool3d(mask, 3, stride=1, padding=1)
