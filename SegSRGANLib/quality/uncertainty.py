"""How much a result depends on what should not matter: the volume's flips and the place of its voxels.

Anatomy does not change when a volume is mirrored or shifted by a voxel, but a network's answer does, most of all where
it guesses. The network runs several times on mirrored and shifted copies; the spread of the answers, carried back, is
the uncertainty. It measures the network's own doubt: an error that it makes every time is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PredictiveVariance:
    """How the runs differ, (z, y, x) float32 each. Of a model with several classes, the first is looked at.

    deviation: standard deviation of the intensity over the runs.
    entropy: of the mean probability, in bits, 0 (certain) to 1 (one half); None for a model that does not segment.
    cortex_voxels: of each run, as `classes.label_map` labels them.
    """

    deviation: np.ndarray
    entropy: np.ndarray | None
    cortex_voxels: list[int]


def describe_variance(
    variance: PredictiveVariance, labels: np.ndarray, voxel_ml: float, scale: float
) -> dict[str, Any]:
    """The variance in numbers.

    Args:
        variance: of the runs, intensities in units of `scale`. labels: the cortex (z, y, x) of the result, not 0.
        voxel_ml: volume of a voxel. scale: intensity that is 100 %.

    Returns:
        "runs"; "deviation_percent", the mean over the volume; "entropy_bits", the mean over the cortex;
        "volume_ml", mean of the runs; "volume_interval_ml", two standard deviations to either side of it.
    """
    volumes = np.array(variance.cortex_voxels) * voxel_ml
    centre, width = float(volumes.mean()), 2 * float(volumes.std(ddof=1))
    cortex = labels > 0
    entropy = None if variance.entropy is None or not cortex.any() else round(float(variance.entropy[cortex].mean()), 4)
    segments = variance.entropy is not None
    return {
        "runs": len(volumes),
        "deviation_percent": round(100 * float(variance.deviation.mean()) / scale, 4),
        "entropy_bits": entropy,
        "volume_ml": round(centre, 4) if segments else None,
        "volume_interval_ml": [round(max(0.0, centre - width), 4), round(centre + width, 4)] if segments else None,
    }
