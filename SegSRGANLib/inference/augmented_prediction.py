"""Test-time augmentation: the network on mirrored and shifted copies of a volume, and how its answers differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..data.classes import label_map
from ..quality.uncertainty import PredictiveVariance

_SHIFTS = ((0, 0, 0), (1, 2, 3), (3, 1, 2), (2, 3, 1))  # voxels; the networks halve the resolution twice
MOST_RUNS = 8 * len(_SHIFTS)


def augmentation_of(run: int) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Flipped axes and shift (z, y, x) of a run; run 0 is the volume as it is, and the first 8 have all flips."""
    flipped = tuple(axis for axis in range(3) if run >> axis & 1)
    return flipped, _SHIFTS[(run + run // 8) % len(_SHIFTS)]


def predict_augmented(
    predict: Callable[[torch.Tensor, int], torch.Tensor],
    volume: torch.Tensor,
    runs: int,
    threshold: float,
    inside: np.ndarray | None = None,
    classes: int = 1,
) -> tuple[torch.Tensor, PredictiveVariance | None]:
    """Predict a volume and its augmented copies.

    Args:
        predict: from a volume (z, y, x) and the number of the run to (C, z, y, x): intensity, then probabilities.
        volume: (z, y, x).
        runs: 1 to 32, the volume itself among them.
        threshold: from which probability a voxel is cortex.
        inside: (z, y, x) mask of the voxels that count for the cortex; None for all.
        classes: number of probabilities; the first is that of the cortex.

    Returns:
        The prediction of the volume itself, as without this function, and the spread of all; None after one run.
    """
    first = predict(volume, 0)
    if runs == 1:
        return first, None
    mean, squares = first[0].double(), torch.zeros_like(first[0], dtype=torch.float64)
    probability = first[1].double() if len(first) > 1 else None
    counts = [_count(first[1 : 1 + classes], threshold, inside)]
    for run in range(1, runs):
        flipped, shift = augmentation_of(run)
        answer = _deaugment(predict(_augment(volume, flipped, shift), run), flipped, shift)
        step = answer[0] - mean  # Welford's update: no difference of large sums
        mean += step / (run + 1)
        squares += step * (answer[0] - mean)
        if probability is not None:
            probability += answer[1]
        counts.append(_count(answer[1 : 1 + classes], threshold, inside))
    entropy = None if probability is None else _entropy((probability / runs).float().numpy())
    return first, PredictiveVariance((squares / (runs - 1)).sqrt().float().numpy(), entropy, counts)


def _augment(volume: torch.Tensor, flipped: tuple[int, ...], shift: tuple[int, int, int]) -> torch.Tensor:
    """Mirror, then move away from the near faces by repeating the border."""
    padding = [length for s in reversed(shift) for length in (s, 0)]
    return F.pad(volume.flip(flipped)[None, None], padding, mode="replicate")[0, 0].contiguous()


def _deaugment(answer: torch.Tensor, flipped: tuple[int, ...], shift: tuple[int, int, int]) -> torch.Tensor:
    z, y, x = shift
    return answer[:, z:, y:, x:].flip([axis + 1 for axis in flipped])


def _count(probabilities: torch.Tensor, threshold: float, inside: np.ndarray | None) -> int:
    """Voxels of the first class."""
    if not len(probabilities):
        return 0
    cortex = label_map(probabilities.numpy(), threshold) == 1
    return int(np.count_nonzero(cortex if inside is None else cortex & inside))


def _entropy(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return (-(p * np.log2(p) + (1 - p) * np.log2(1 - p))).astype(np.float32)
