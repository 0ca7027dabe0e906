"""Random fields, places and slices of synthetic heads, for a whole batch at once on any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ...networks.brain_extractor import SPACING

Shape = tuple[int, int, int]


def uniform(batch: int, low: float, high: float, device: torch.device, *more: int) -> torch.Tensor:
    """Random numbers (batch, *more) between low and high."""
    return torch.rand(batch, *more, device=device) * (high - low) + low


def chance(batch: int, probability: float, device: torch.device) -> torch.Tensor:
    """True (batch,) with this probability."""
    return torch.rand(batch, device=device) < probability


def per_item(values: torch.Tensor) -> torch.Tensor:
    """(N,) or (N, C) -> (N, 1 or C, 1, 1, 1), to be combined with volumes."""
    return values.reshape(values.shape[0], -1, 1, 1, 1)


def smooth_noise(batch: int, shape: Shape, knots: float, device: torch.device, channels: int = 1) -> torch.Tensor:
    """Noise (N, channels, D, H, W) of about unit deviation whose knots lie this many mm apart."""
    coarse = [max(2, round(n * SPACING / knots) + 1) for n in shape]
    noise = torch.randn(batch, channels, *coarse, device=device)
    return F.interpolate(noise, shape, mode="trilinear", align_corners=True) * 1.5


def rotations(batch: int, most_degrees: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Random rotations (N, 3, 3) by up to an angle (N,) about a random axis, by Rodrigues' formula."""
    axis = F.normalize(torch.randn(batch, 3, device=device), dim=1)
    angle = torch.rand(batch, device=device) * torch.deg2rad(most_degrees)
    zero = torch.zeros(batch, device=device)
    x, y, z = axis.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(batch, 3, 3)
    sine, cosine = torch.sin(angle).view(-1, 1, 1), torch.cos(angle).view(-1, 1, 1)
    return torch.eye(3, device=device) + sine * cross + (1 - cosine) * (cross @ cross)


def orientations(batch: int, device: torch.device) -> torch.Tensor:
    """Random signed permutations (N, 3, 3): all 48 orientations, mirrored ones too."""
    order = torch.rand(batch, 3, device=device).argsort(dim=1)
    signs = torch.randint(0, 2, (batch, 3, 1), device=device) * 2.0 - 1.0
    return F.one_hot(order, 3).float() * signs


def positions(shape: Shape, spacing: float, device: torch.device) -> torch.Tensor:
    """Millimetres (1, 3, D, H, W) of each voxel from the field's centre, in the order x (last axis), y, z."""
    axes = [(torch.arange(n, device=device) - (n - 1) / 2) * spacing for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1]).unsqueeze(0)


def sampled(volumes: torch.Tensor, at: torch.Tensor, spacing: float, mode: str, padding: str = "zeros") -> torch.Tensor:
    """Values of volumes (N, C, z, y, x), centred at 0 mm, at positions (N, 3, D, H, W) in mm -> (N, C, D, H, W)."""
    lengths = torch.tensor(volumes.shape[:1:-1], device=at.device, dtype=at.dtype) * spacing
    grid = (at * (2 / per_item(lengths.unsqueeze(0)))).permute(0, 2, 3, 4, 1)
    return F.grid_sample(volumes, grid, mode=mode, padding_mode=padding, align_corners=False)


def blurred(volumes: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur with sigma in voxels along all axes, radius 2."""
    taps = torch.exp(-0.5 * (torch.arange(-2, 3, device=volumes.device) / max(sigma, 1e-3)) ** 2)
    taps = (taps / taps.sum()).to(volumes.dtype)
    for axis in range(3):
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[2 + axis], padding[axis] = 5, 2
        volumes = F.conv3d(volumes, taps.view(shape), padding=padding)
    return volumes


def slice_matrices(length: int, thickness: torch.Tensor, profile: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices (N, length, length) that take slices along an axis, and interpolate back from them.

    thickness (N,): distance of slices in voxels; profile (N,): FWHM of their Gaussian profile over their distance.
    Rows of slices beyond the axis are 0. Thickness 1 or less takes each voxel as it is.
    """
    device = thickness.device
    thick = thickness.clamp_min(1.0).view(-1, 1, 1)
    at = torch.arange(length, device=device, dtype=torch.float32)
    centres = (at.view(1, -1, 1) + 0.5) * thick - 0.5
    sigma = (thick * profile.view(-1, 1, 1) / 2.3548).clamp_min(0.05)
    take = torch.exp(-0.5 * ((at.view(1, 1, -1) - centres) / sigma) ** 2) + 1e-12
    take = take / take.sum(2, keepdim=True)
    take = torch.where(thick > 1, take, torch.eye(length, device=device))
    count = (length / thick).round().clamp_min(1.0)
    exists = (at.view(1, -1, 1) < count).float()
    continuous = ((at.view(1, -1, 1) + 0.5) / thick - 0.5).clamp_min(0).minimum(count - 1)
    back = (1 - (continuous - at.view(1, 1, -1)).abs()).clamp_min(0)
    return take * exists, back


def along_first(matrices: torch.Tensor, volumes: torch.Tensor) -> torch.Tensor:
    """Apply matrices (N, D, D) along D of volumes (N, 1, D, H, W)."""
    n, c, d, h, w = volumes.shape
    return torch.bmm(matrices, volumes.reshape(n, d, h * w)).view(n, c, d, h, w)


def pick(options: Sequence[Shape], generator: torch.Generator) -> Shape:
    """One of several shapes at random."""
    return options[int(torch.randint(len(options), (1,), generator=generator))]
