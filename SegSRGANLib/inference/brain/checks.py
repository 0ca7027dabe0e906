"""What a brain mask tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.grid import Grid
from ...quality.limits import BRAIN_ML, CUT_BRAIN, SURE_BRAIN


@dataclass(frozen=True)
class BrainChecks:
    """What a mask tells about itself.

    volume_ml: its volume. pieces: parts of at least 1 mL before the largest was taken. other_ml: volume of the others.
    cut: share of its surface on the faces of the field of view. confidence: Dice that the network's own probabilities
    expect of it. stripped: whether the scan shows nothing but the brain.
    """

    volume_ml: float
    pieces: int
    other_ml: float
    cut: float
    confidence: float
    stripped: bool

    def warnings(self) -> list[str]:
        """Sentences about what speaks against the mask; none for a plausible one."""
        found = []
        if not BRAIN_ML[0] <= self.volume_ml <= BRAIN_ML[1]:
            usual = f"{BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} mL"
            found.append(f"The brain mask has {self.volume_ml:.0f} mL; fetuses and newborns have {usual}.")
        if self.cut > CUT_BRAIN:
            found.append(f"The field of view cuts the brain: {100 * self.cut:.0f} % of its surface lie on a face.")
        if self.confidence < SURE_BRAIN:
            found.append(f"The brain was found with little certainty (expected Dice {self.confidence:.2f}).")
        if self.other_ml > 0.15 * self.volume_ml:
            found.append(f"Another {self.other_ml:.0f} mL in {self.pieces - 1} pieces looked like brain, too.")
        return found


def check_brain(
    mask: np.ndarray, grid: Grid, probability: np.ndarray, inside: np.ndarray, pieces: list[float], stripped: bool
) -> BrainChecks:
    """The checks of a found mask.

    Args:
        mask: bool (z, y, x) on `grid`, the scan's.
        probability, inside: what the network said and the piece that was taken, on its own voxels.
        pieces: volumes of all pieces in mL, largest first.
        stripped: whether the mask is all that the scan shows.
    """
    volume = float(np.count_nonzero(mask) * np.prod(grid.spacing) / 1000)
    expected = expected_dice(probability, inside)
    return BrainChecks(
        round(volume, 1), len(pieces), round(sum(pieces[1:]), 1), round(_cut(inside), 3), round(expected, 3), stripped
    )


def expected_dice(probability: np.ndarray, inside: np.ndarray) -> float:
    """The Dice that the network's own probabilities (z, y, x) expect of a piece (bool, the same shape)."""
    return 2 * float(probability[inside].sum()) / float(probability.sum() + inside.sum())


def _cut(inside: np.ndarray) -> float:
    """Share of a mask's surface that lies on the faces of its volume."""
    padded = np.pad(inside, 1)
    surface = sum(int(np.count_nonzero(np.diff(padded, axis=axis))) for axis in range(3))
    on_faces = sum(int(np.count_nonzero(inside.take((0, -1), axis=axis))) for axis in range(3))
    return on_faces / max(1, surface)
