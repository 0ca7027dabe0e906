"""The classes that a model segments: their names, in files too, and one label map out of their probabilities.

Most models know one class, the cortex. Class number k of a model is channel k of its network (channel 0 is the
intensity) and label k of its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

CORTEX = "cortex"
MOST_CLASSES = 255  # labels are uint8
_BIDS_NAMES = {CORTEX: "CGM"}  # BIDS 1.10, the standard's abbreviations of tissues


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names of classes, after a look at each.

    Raises:
        ValueError: none or too many, a name that cannot be part of a file name, or two that look the same there.
    """
    names = tuple(names)
    if not 1 <= len(names) <= MOST_CLASSES:
        raise ValueError(f"A model segments 1 to {MOST_CLASSES} classes, not {len(names)}.")
    taken: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or len(name) > 64 or not file_part(name):
            raise ValueError(f"A class cannot be named {name!r}; use letters A to Z or digits, at most 64 characters.")
        for key in {bids_label(name).lower(), file_part(name).replace("-", "").lower()}:  # some disks ignore case
            if key in taken:
                raise ValueError(f"The classes {taken[key]!r} and {name!r} would share files; rename one of them.")
            taken[key] = name
    return names


def file_part(name: str) -> str:
    """A class's name as part of a file name: "white matter" is "white-matter"."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def bids_label(name: str) -> str:
    """A class's name as the value of the BIDS entity `label`: "white matter" is "WhiteMatter", the cortex "CGM"."""
    part = file_part(name)
    return _BIDS_NAMES.get(part) or "".join(word[:1].upper() + word[1:] for word in part.split("-"))


def label_map(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The most probable class of each voxel, where it is probable enough.

    Args:
        probabilities: (classes, z, y, x), in [0, 1].
        threshold: the least probability of a label.

    Returns:
        (z, y, x) uint8: 1 for the first class, 2 for the second ...; 0 where every class is below the threshold. Of
        equally probable classes the first one counts.
    """
    labels = (probabilities[0] >= threshold).astype(np.uint8)
    most = probabilities[0]
    for number, probability in enumerate(probabilities[1:], start=2):
        labels[(probability > most) & (probability >= threshold)] = number
        most = np.maximum(most, probability)
    return labels
