"""Whether a scan is like those that a model was trained on: resolution, brain and contrast, as numbers and in words.

A network answers whatever it is shown. Outside of what it was trained on, its answer looks as good and is worth less.
Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.grid import Grid
from ..models.card import Domain, Range
from .limits import SLACK_CONTRAST, SLACK_FACTOR, SLACK_ML, SLACK_SHAPE

_MOST_CUT = 0.7  # whole brains reach 0.66, cut ones begin at 0.89 (benchmarks/domain_alarms.py)
_END = 5.0  # mm at each end of the brain where its cross-section is judged
_AIR = 0.1  # of the bright voxels; see `brain_region`
_LEAST_BLACK = 0.2  # share of a volume without a skull that is exactly black
_PERCENTILES = (5, 50, 95)


TITLES = {
    "slices_mm": "thickness of the slices, mm",
    "spacing_mm": "voxels of the result, mm",
    "inplane_factor": "voxels inside the slices over those of the result",
    "cut": "cross-section at the end of the brain over its largest",
    "brain_ml": "volume of the brain, mL",
    "shape": "shortest over longest axis of the brain",
    "contrast": "asymmetry of the brain's intensities",
}


@dataclass(frozen=True)
class Item:
    """One measure beside its range in the training.

    slack: how far outside it may lie without a warning. sentence: the warning.
    """

    value: float
    training: Range
    slack: float
    sentence: str

    @property
    def outside(self) -> float:
        """Distance from the range: negative below, positive above, 0 inside."""
        return min(self.value - self.training[0], 0.0) + max(self.value - self.training[1], 0.0)

    @property
    def warns(self) -> bool:
        """Whether the user should hear of it."""
        return abs(self.outside) > self.slack

    def figures(self) -> dict[str, Any]:
        """JSON values for the record."""
        return {
            "value": round(self.value, 4),
            "training": [round(bound, 4) for bound in self.training],
            "outside": round(self.outside, 4),
        }


@dataclass(frozen=True)
class Brain:
    """What is measured of a brain in a scan.

    ml: volume. shape: shortest over longest principal axis (standard deviations), whatever its position.
    cut: cross-section near its ends along the axes of the grid, the largest, over the largest cross-section along that
        axis: small for a whole brain, near 1 for a half one. at_edge: whether that end is the edge of the volume.
    contrast: asymmetry of the intensities, (q95 + q5 - 2 q50) / (q95 - q5): positive in T2-weighted images of
        newborns, where little is much brighter than the brain, the CSF; negative when it is darker, as in T1-weighted.
        Measured without the outermost voxels, which are air in part.
    """

    ml: float
    shape: float
    cut: float
    at_edge: bool
    contrast: float

    @classmethod
    def of(cls, values: np.ndarray, inside: np.ndarray, spacing: Sequence[float]) -> Brain:
        """Measure.

        Args:
            values: (z, y, x) intensities. inside: the same shape, bool, not empty. spacing: mm, (x, y, z).
        """
        steps = np.array(spacing, float)[::-1]
        places = np.argwhere(inside) * steps
        spread = np.cov(places.T, bias=True) + np.diag(steps**2 / 12)  # a voxel has an extent, too
        lengths = np.sqrt(np.linalg.eigvalsh(spread))
        low, middle, high = np.percentile(values[_interior(inside)], _PERCENTILES)
        ends = [_end(inside, axis, step) for axis, step in enumerate(steps)]
        return cls(
            ml=float(len(places) * np.prod(steps) / 1000),
            shape=float(lengths[0] / lengths[2]),
            cut=max(ends)[0],
            at_edge=max(ends)[1],
            contrast=float((high + low - 2 * middle) / max(high - low, np.finfo(float).tiny)),
        )


def brain_region(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray | None:
    """Where the brain is: the mask, or all that is not black in a volume without a skull.

    Args:
        values: (z, y, x). mask: the same shape, not 0 is brain; or None.

    Returns:
        bool, the same shape; None where the brain cannot be told from its surroundings: without a mask, in a volume
        whose air has noise. An empty region is None, too.
    """
    if mask is not None:
        return mask > 0 if mask.any() else None
    black = values == values.min()
    if not _LEAST_BLACK <= black.mean() < 1:
        return None
    inside = values > _AIR * np.percentile(values[~black], 99.5)
    return inside if inside.any() else None


def geometry_items(
    grid: Grid, output: Grid, training_spacing: Range, training_slices: Range, domain: Domain | None = None
) -> dict[str, Item]:
    """Judge the resolution.

    Args:
        grid: of the scan. output: of the result.
        training_spacing: mm, of the volumes that the model was trained to make.
        training_slices: mm, slice thickness of the low resolution that it was trained on.
        domain: where the model's card has one.
    """
    items = {}
    fine, middle, thick = sorted(grid.spacing)
    wanted = output.spacing
    if thick > 1.2 * max(wanted):
        sentence = f"The slices are {thick:.3g} mm thick; the model was trained on {_words(training_slices)} mm."
        items["slices_mm"] = Item(thick, training_slices, 0.0, sentence)
    made = max(wanted) if max(wanted) > training_spacing[1] else min(wanted)
    text = " x ".join(f"{s:.3g}" for s in wanted)
    sentence = f"The result has voxels of {text} mm; the model was trained to make {_words(training_spacing)} mm."
    items["spacing_mm"] = Item(made, training_spacing, 0.0, sentence)
    if domain is not None:
        factor = max(1.0, middle / min(wanted))  # finer ones are averaged, which is no new situation
        sentence = (
            f"Inside the slices the voxels measure {middle:.3g} mm, {factor:.2g} times those of the result; the model "
            f"trained on at most {domain.inplane_factor[1]:.2g} times: an output spacing of "
            f"{middle / domain.inplane_factor[1]:.3g} mm fits."
        )
        items["inplane_factor"] = Item(factor, domain.inplane_factor, SLACK_FACTOR, sentence)
    return items


def brain_items(brain: Brain, domain: Domain) -> dict[str, Item]:
    """Judge the brain; its size and shape only when all of it is there."""
    where = "at the edge of the volume" if brain.at_edge else "in a plane"
    cut = f"The brain ends {where} with {brain.cut:.0%} of its cross-section"
    sentence = f"{cut}; the model was trained on whole brains."
    items = {"cut": Item(brain.cut, (0.0, _MOST_CUT), 0.0, sentence)}
    if not items["cut"].warns:
        sentence = f"The brain measures {brain.ml:.0f} mL; the model was trained on {_words(domain.brain_ml)} mL."
        slack = SLACK_ML * (domain.brain_ml[0] if brain.ml < domain.brain_ml[0] else domain.brain_ml[1])
        items["brain_ml"] = Item(brain.ml, domain.brain_ml, slack, sentence)
        sentence = (
            f"The brain's shortest axis is {brain.shape:.2f} of its longest one; the model was trained on "
            f"{_words(domain.shape)}: check that the mask holds the whole brain."
        )
        items["shape"] = Item(brain.shape, domain.shape, SLACK_SHAPE, sentence)
    if domain.contrast is not None:
        sentence = (
            f"The contrast of the brain (asymmetry {brain.contrast:.2f}) is not that of the T2-weighted scans of the "
            f"training ({_words(domain.contrast)}): check that this is a T2-weighted scan of a newborn."
        )
        items["contrast"] = Item(brain.contrast, domain.contrast, SLACK_CONTRAST, sentence)
    return items


def sentences(items: Mapping[str, Item]) -> list[str]:
    """The warnings among them."""
    return [item.sentence for item in items.values() if item.warns]


def _end(inside: np.ndarray, axis: int, step: float) -> tuple[float, bool]:
    """Mean cross-section over the outermost millimetres of either end, the larger one, over the largest; and whether
    that end is the edge of the volume."""
    areas = inside.sum(axis=tuple(k for k in range(3) if k != axis)).astype(float)
    slices = np.flatnonzero(areas)
    first, last = int(slices[0]), int(slices[-1])
    kept = areas[first : last + 1]
    depths = np.arange(len(kept) + 1) * step
    end = min(_END, depths[-1])
    shares = [
        float(np.interp(end, depths, np.concatenate([[0.0], np.cumsum(part)]) * step) / end / kept.max())
        for part in (kept, kept[::-1])
    ]
    return max((shares[0], first == 0), (shares[1], last == len(areas) - 1))


def _interior(inside: np.ndarray) -> np.ndarray:
    """The voxels whose six neighbours are inside, too; all voxels where there are none."""
    padded, interior = np.pad(inside, 1), inside.copy()
    for axis in range(3):
        for shift in (1, -1):
            interior &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return interior if interior.any() else inside


def _words(bounds: Range) -> str:
    return f"{bounds[0]:.3g} to {bounds[1]:.3g}"
