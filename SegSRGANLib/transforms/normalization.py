"""The intensity scale on which the networks see a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RULES = ("percentile", "maximum")


@dataclass(frozen=True)
class Normalization:
    """How intensities are divided so that the brain lies in [0, 1]; stored with every checkpoint.

    rule: "percentile" divides by a high percentile of the positive voxels, which a few hot voxels do not move;
        "maximum" divides by the maximum, as the original project does.
    percentile: of the first rule, in percent.
    """

    rule: str = "percentile"
    percentile: float = 99.5

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"Unknown normalization {self.rule!r}; it is one of {', '.join(RULES)}.")
        if not 50 <= self.percentile <= 100:
            raise ValueError(f"The percentile lies between 50 and 100, not at {self.percentile}.")

    def scale(self, array: np.ndarray, mask: np.ndarray | None = None) -> float:
        """The number to divide the volume by.

        Args:
            array: (z, y, x) measured intensities, before interpolation.
            mask: (z, y, x), optional; only voxels inside count.

        Raises:
            ValueError: no positive intensity to scale by.
        """
        inside = array if mask is None else array[mask > 0]
        positive = inside[inside > 0]
        if positive.size == 0:
            raise ValueError("The volume has no positive intensity (inside the mask, if one is given) to scale by.")
        if self.rule == "maximum":
            return float(positive.max())
        return float(np.percentile(positive, self.percentile))
