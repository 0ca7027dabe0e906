"""How much a result depends on what should not matter: the volume's flips and the place of its voxels.

Anatomy does not change when a volume is mirrored or shifted by a voxel, but a network's answer does, most of all where
it guesses. The network runs several times on mirrored and shifted copies; the spread of the answers, carried back, is
the uncertainty. It measures the network's own doubt: an error that it makes every time is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..data.classes import label_map

_SHIFTS = ((0, 0, 0), (1, 2, 3), (3, 1, 2), (2, 3, 1))  # voxels; the networks halve the resolution twice
MOST_RUNS = 8 * len(_SHIFTS)


@dataclass(frozen=True)
class Spread:
    """How the runs differ, (z, y, x) float32 each. Of a model with several classes, the first is looked at.

    deviation: standard deviation of the intensity over the runs.
    entropy: of the mean probability, in bits, 0 (certain) to 1 (one half); None for a model that does not segment.
    cortex_voxels: of each run, as `classes.label_map` labels them.
    """

    deviation: np.ndarray
    entropy: np.ndarray | None
    cortex_voxels: list[int]


def variant(run: int) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Flipped axes and shift (z, y, x) of a run; run 0 is the volume as it is, and the first 8 have all flips."""
    flipped = tuple(axis for axis in range(3) if run >> axis & 1)
    return flipped, _SHIFTS[(run + run // 8) % len(_SHIFTS)]


def predict_repeatedly(
    predict: Callable[[torch.Tensor, int], torch.Tensor],
    volume: torch.Tensor,
    runs: int,
    threshold: float,
    inside: np.ndarray | None = None,
    classes: int = 1,
) -> tuple[torch.Tensor, Spread | None]:
    """Predict a volume and its variants.

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
        flipped, shift = variant(run)
        answer = _undone(predict(_done(volume, flipped, shift), run), flipped, shift)
        step = answer[0] - mean  # Welford's update: no difference of large sums
        mean += step / (run + 1)
        squares += step * (answer[0] - mean)
        if probability is not None:
            probability += answer[1]
        counts.append(_count(answer[1 : 1 + classes], threshold, inside))
    entropy = None if probability is None else _entropy((probability / runs).float().numpy())
    return first, Spread((squares / (runs - 1)).sqrt().float().numpy(), entropy, counts)


def describe_spread(spread: Spread, labels: np.ndarray, voxel_ml: float, scale: float) -> dict[str, Any]:
    """The spread in numbers.

    Args:
        spread: of the runs, intensities in units of `scale`. labels: the cortex (z, y, x) of the result, not 0.
        voxel_ml: volume of a voxel. scale: intensity that is 100 %.

    Returns:
        "runs"; "deviation_percent", the mean over the volume; "entropy_bits", the mean over the cortex;
        "volume_ml", mean of the runs; "volume_interval_ml", two standard deviations to either side of it.
    """
    volumes = np.array(spread.cortex_voxels) * voxel_ml
    centre, width = float(volumes.mean()), 2 * float(volumes.std(ddof=1))
    cortex = labels > 0
    entropy = None if spread.entropy is None or not cortex.any() else round(float(spread.entropy[cortex].mean()), 4)
    segments = spread.entropy is not None
    return {
        "runs": len(volumes),
        "deviation_percent": round(100 * float(spread.deviation.mean()) / scale, 4),
        "entropy_bits": entropy,
        "volume_ml": round(centre, 4) if segments else None,
        "volume_interval_ml": [round(max(0.0, centre - width), 4), round(centre + width, 4)] if segments else None,
    }


def _done(volume: torch.Tensor, flipped: tuple[int, ...], shift: tuple[int, int, int]) -> torch.Tensor:
    """Mirror, then move away from the near faces by repeating the border."""
    padding = [length for s in reversed(shift) for length in (s, 0)]
    return F.pad(volume.flip(flipped)[None, None], padding, mode="replicate")[0, 0].contiguous()


def _undone(answer: torch.Tensor, flipped: tuple[int, ...], shift: tuple[int, int, int]) -> torch.Tensor:
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
