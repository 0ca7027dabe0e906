"""How far each slice lies displaced in its plane against the one before: rigid registration of neighbours by Fourier.

Anatomy drifts slowly from slice to slice, and where two slices show different anatomy no displacement makes them alike.
A child's motion does both: neighbours lie apart, and moving one of them back explains most of their difference. So each
displacement counts by the part of the difference that it explains.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

_PIXEL = 1.5  # mm; finer slices are averaged, which is fast and takes noise away
_REACH = 9.0  # mm; the farthest displacement that is looked for
_ANGLES = (-9.0, -4.5, 0.0, 4.5, 9.0)  # degrees
_WINDOW = 3  # pairs to each side whose median is the drift of the anatomy


def displacements(stack: np.ndarray, inside: np.ndarray, pixel: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Displacement of each slice against the one before, less the usual drift of the anatomy there.

    Args:
        stack: (slices, y, x) float32 intensities. inside: bool, where the brain is. pixel: size along (y, x), mm.

    Returns:
        Two arrays (slices - 1,): the displacement in mm (of the brain's points, root mean square), and the part of the
        slices' difference that it explains, 0 to 1. Their product tells motion from anatomy.
    """
    values, brain, size = _coarse(stack, inside, pixel)
    reach = tuple(max(1, int(_REACH / length)) for length in size)
    fixed, weight = values[:-1], brain[:-1]
    mismatch = torch.stack(
        [_mismatch(fixed, weight, moving, reach) for moving in _turned(values[1:], size)]
    )  # (angles, pairs, shifts along y, along x)
    found = _best(mismatch.movedim(0, 1), reach, size)
    radius = np.sqrt(weight.sum(dim=(1, 2)).numpy() * size[0] * size[1] / np.pi)
    found[:, 2] *= np.radians(1.0) * radius * 0.7  # a turn moves a disc's points by 0.7 of the rim's way (RMS)
    drift = np.array([np.median(found[max(0, k - _WINDOW) : k + _WINDOW + 1, :3], axis=0) for k in range(len(found))])
    return np.linalg.norm(found[:, :3] - drift, axis=1), found[:, 3]


def _coarse(
    stack: np.ndarray, inside: np.ndarray, pixel: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor, tuple[float, float]]:
    """Slices and brain (0 to 1) around the brain on pixels of about 1.5 mm, and the size of these."""
    places = []
    for axis, length in enumerate(pixel):
        along = np.flatnonzero(inside.any(axis=(0, 2 - axis)))
        margin = int(np.ceil(_REACH / length))
        places.append(slice(max(0, along[0] - margin), along[-1] + margin + 1))
    parts = [np.ascontiguousarray(part[:, places[0], places[1]], np.float32) for part in (stack, inside)]
    shape = [max(8, round(n * min(1.0, length / _PIXEL))) for n, length in zip(parts[0].shape[1:], pixel, strict=True)]
    size = tuple(n * length / m for n, length, m in zip(parts[0].shape[1:], pixel, shape, strict=True))
    values, brain = (
        functional.adaptive_avg_pool2d(torch.from_numpy(part)[None], (shape[0], shape[1]))[0] for part in parts
    )
    return values, (brain > 0.5).float(), (size[0], size[1])


def _turned(values: torch.Tensor, size: tuple[float, float]) -> list[torch.Tensor]:
    """The slices turned about the middle of the box by each of the angles."""
    count, rows, columns = values.shape
    height, width = rows * size[0], columns * size[1]
    turned = []
    for degrees in _ANGLES:
        cosine, sine = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
        matrix = torch.tensor([[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]])
        grid = functional.affine_grid(matrix.expand(count, 2, 3), [count, 1, rows, columns], align_corners=False)
        turned.append(functional.grid_sample(values[:, None], grid, align_corners=False, padding_mode="border")[:, 0])
    return turned


def _mismatch(fixed: torch.Tensor, weight: torch.Tensor, moving: torch.Tensor, reach: tuple[int, ...]) -> torch.Tensor:
    """Weighted sum of squared differences from `moving` displaced by up to `reach` pixels; (pairs, 2y + 1, 2x + 1)."""
    shape = tuple(n + r for n, r in zip(fixed.shape[1:], reach, strict=True))
    weighted = torch.fft.rfft2(fixed * weight, s=shape).conj()
    cross = torch.fft.irfft2(weighted * torch.fft.rfft2(moving, s=shape), s=shape)
    squares = torch.fft.rfft2(weight, s=shape).conj() * torch.fft.rfft2(moving**2, s=shape)
    total = (fixed**2 * weight).sum(dim=(1, 2))[:, None, None] - 2 * cross + torch.fft.irfft2(squares, s=shape)
    shifts = [torch.arange(-r, r + 1) for r in reach]
    return total.clamp(min=0)[:, shifts[0]][:, :, shifts[1]]


def _best(mismatch: torch.Tensor, reach: tuple[int, ...], size: tuple[float, float]) -> np.ndarray:
    """Of each pair the displacement along y and x (mm), the angle (degrees) and the share they explain."""
    found = np.zeros((len(mismatch), 4))
    none = _ANGLES.index(0.0)
    for k, values in enumerate(mismatch.numpy()):
        angle, y, x = np.unravel_index(int(values.argmin()), values.shape)
        usual = float(values[none, reach[0], reach[1]])
        if usual > 0:
            explained = 1 - float(np.sqrt(values[angle, y, x] / usual))
            found[k] = (y - reach[0]) * size[0], (x - reach[1]) * size[1], _ANGLES[angle], explained
    return found
