"""Where the brain of a run is: a mask that was given, one that the program finds, or the whole volume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid
from ...models.brain_extractor import has_brain_extractor
from ...quality.limits import FOREIGN_MASK
from ...transforms.resample import resample_labels
from ..options import EnhanceOptions
from ..run_context import RunContext
from .extraction import BrainExtraction, extract_brain

AUTO, NONE = "auto", "none"
BrainMask = sitk.Image | str | None  # an image, AUTO, or NONE

_NO_EXTRACTOR = (
    "This installation cannot find the brain by itself, so the whole volume was taken for a brain: give a mask when it "
    "shows a head."
)
_LEAST_INSIDE = 0.5  # share of a given mask's volume in the field of view; below, it is not of this scan
_MOSTLY_INSIDE = 0.97
_PLAUSIBLE = (10.0, 2500.0)  # mL, of any mask that a person gives
_WHOLE_FIELD = 0.9  # share of the field of view
_ELSEWHERE = 0.5  # share of both masks outside of the other: in another place
_CERTAIN = 0.93  # expected Dice from which the found brain may contradict a given mask


@dataclass(frozen=True)
class BrainChoice:
    """The brain of one run.

    mask: uint8, 1 = brain, on the scan's grid, for the network; None when it sees the whole volume. found: the mask
    that the program made, to be kept. record: `{source: given|found|none, volume_ml, checks}`. warnings: sentences.
    """

    mask: sitk.Image | None
    found: sitk.Image | None
    record: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def choose_brain(image: sitk.Image, mask: BrainMask, options: EnhanceOptions, run: RunContext) -> BrainChoice:
    """Decide where the brain is.

    Args:
        image: the scan. mask: an image in its space, "auto" to find the brain, "none" or None for the whole volume.
            Without a brain extractor "auto" takes the whole volume, with a warning.
        options: whose device is used. run: progress and cancellation.

    Raises:
        ValueError: no brain was found, an unknown word, or a mask that cannot be of this scan.
    """
    if mask is None or (isinstance(mask, str) and mask == NONE):
        return _whole(_looked_for(image, options, run))
    if isinstance(mask, str):
        if mask != AUTO:
            raise ValueError(f"The brain mask is an image, auto or none, not {mask!r}.")
        if not has_brain_extractor():
            record = {"source": "none", "wanted": AUTO, "volume_ml": None, "checks": {}}
            return BrainChoice(None, None, record, [_NO_EXTRACTOR])
        with run.step("mask"):
            return _found(_extracted(image, options, run))
    return _given(image, mask, _looked_for(image, options, run))


def _looked_for(image: sitk.Image, options: EnhanceOptions, run: RunContext) -> BrainExtraction | None:
    """What the program finds beside what it was told; None where it finds no brain or cannot look for one."""
    with run.step("mask"):
        try:
            return _extracted(image, options, run) if has_brain_extractor() else None
        except ValueError:
            return None


def _extracted(image: sitk.Image, options: EnhanceOptions, run: RunContext) -> BrainExtraction:
    device = options.prediction.device
    return extract_brain(image, device, progress=run.report, should_stop=run.should_stop)


def _whole(extraction: BrainExtraction | None) -> BrainChoice:
    """The whole volume, which the user calls a brain; what the program finds in it tells how far to believe that."""
    checks = {} if extraction is None else _confidence(extraction) | {"stripped": extraction.checks.stripped}
    return BrainChoice(None, None, {"source": "none", "volume_ml": None, "checks": checks})


def _confidence(extraction: BrainExtraction | None) -> dict[str, Any]:
    return {"confidence": None if extraction is None else extraction.checks.confidence}


def _found(extraction: BrainExtraction) -> BrainChoice:
    """A brain without surroundings is given whole to the network, as the volumes that it was trained on."""
    checks = asdict(extraction.checks)
    record = {"source": "found", "volume_ml": checks.pop("volume_ml"), "checks": checks}
    mask = None if extraction.checks.stripped else extraction.mask
    return BrainChoice(mask, extraction.mask, record, extraction.checks.warnings())


def _given(image: sitk.Image, mask: sitk.Image, extraction: BrainExtraction | None) -> BrainChoice:
    """A given mask on the scan's grid, compared with the brain that the program finds.

    Raises:
        ValueError: it lies outside of the scan, or where the scan shows no brain.
    """
    binary, grid = sitk.Cast(mask != 0, sitk.sitkUInt8), Grid.of(image)
    carried = binary if Grid.of(mask).matches(grid) else resample_labels(binary, grid)
    inside, volume = sitk.GetArrayViewFromImage(carried) > 0, _millilitres(carried)
    share = volume / max(_millilitres(binary), 1e-9)
    if volume == 0 or share < _LEAST_INSIDE:
        raise ValueError("The mask has no voxel inside the volume; check that it belongs to this volume.")
    checks: dict[str, Any] = {"in_field": round(min(share, 1.0), 3)}
    warnings = _plausibility(volume, float(inside.mean()), share)
    beyond = _disagreement(inside, extraction)
    checks |= {"disagreement": None if beyond is None else round(beyond, 3)} | _confidence(extraction)
    if beyond is not None:
        if beyond > _ELSEWHERE:
            raise ValueError(
                f"The mask lies where this scan shows no brain: {100 * beyond:.0f} % of it and of the brain found in "
                "the scan do not overlap. Give the mask of this scan, or let the program find the brain (auto)."
            )
        if beyond > FOREIGN_MASK:
            warnings.append(
                f"The mask may belong to another scan: {100 * beyond:.0f} % of it lie outside of the brain, and as "
                "much of the brain outside of it."
            )
    return BrainChoice(carried, None, {"source": "given", "volume_ml": round(volume, 1), "checks": checks}, warnings)


def _plausibility(volume: float, of_field: float, share: float) -> list[str]:
    found = []
    if not _PLAUSIBLE[0] <= volume <= _PLAUSIBLE[1]:
        found.append(f"The brain mask has {volume:.3g} mL, which no brain has; check that it marks the brain.")
    if of_field > _WHOLE_FIELD:
        found.append(f"The brain mask fills {100 * of_field:.0f} % of the field of view; it may not mark the brain.")
    if share < _MOSTLY_INSIDE:
        found.append(f"{100 * (1 - share):.0f} % of the brain mask lie outside of the field of view of the scan.")
    return found


def _disagreement(given: np.ndarray, extraction: BrainExtraction | None) -> float | None:
    """The smaller share of the given and of the found mask that lies outside of the other.

    A tighter or a wider definition of the brain leaves one of both shares at 0; a mask of another scan has both. None
    where the program finds no brain of which it is certain.
    """
    if extraction is None or extraction.checks.confidence < _CERTAIN or extraction.checks.warnings():
        return None
    found = sitk.GetArrayViewFromImage(extraction.mask) > 0
    common = np.count_nonzero(found & given)
    return 1 - common / min(np.count_nonzero(found), np.count_nonzero(given))


def _millilitres(mask: sitk.Image) -> float:
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing()) / 1000)
