"""The classes that a model segments: names, colours, codes, and one label map out of their probabilities.

Most models know one class, the cortex. Class number k of a model is channel k of its network (channel 0 is the
intensity) and label k of its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

CORTEX = "cortex"
MOST_CLASSES = 255  # labels are uint8
_PROBABILITY_STEPS = np.float32(2**16)  # from 0 to 1
Colour = tuple[int, int, int]  # RGB, 0 to 255


@dataclass(frozen=True)
class Tissue:
    """A class that terminologies know.

    name: as models call it. title: as Slicer and BIDS tables show it. colour: in every picture, in Slicer and in DICOM.
    code: SNOMED CT concept, "" where none covers the tissue. meaning: the concept's, in the words of DICOM's context
        groups 7140 and 7153 (PS3.16). bids: abbreviation of BIDS 1.10 for common image-derived labels, "" where it has
        none.
    """

    name: str
    title: str
    colour: Colour
    code: str = ""
    meaning: str = ""
    bids: str = ""


# Colours of Okabe and Ito, and a red: colour-blind readers can tell them apart, and all stand out on grey.
TISSUES = {
    tissue.name: tissue
    for tissue in (
        Tissue(CORTEX, "Cerebral cortex", (240, 140, 51), "40146001", "Cerebral cortex", "CGM"),
        Tissue("white matter", "White matter", (86, 180, 233), "68523003", "Cerebral White Matter", "WM"),
        Tissue("ventricles", "Ventricles", (0, 114, 178), "35764002", "Brain ventricle"),
        Tissue("outer CSF", "Outer CSF", (0, 158, 115), "33930006", "Cranial Subarachnoid Space"),
        # basal ganglia and thalamus together: no concept of the context groups
        Tissue("deep grey matter", "Deep grey matter", (240, 228, 66), bids="SGM"),
        Tissue("cerebellum", "Cerebellum", (204, 121, 167), "113305005", "Cerebellum", "CBM"),
        Tissue("brainstem", "Brainstem", (204, 51, 17), "119238007", "Brain Stem", "BS"),
    )
}
_MORE_COLOURS: tuple[Colour, ...] = ((136, 34, 85), (170, 220, 90), (102, 102, 204), (187, 187, 187))


def display_colours(names: Sequence[str]) -> tuple[Colour, ...]:
    """One colour for each of a model's classes: that of the tissue, or one that none of the others has.

    With more classes than colours, those begin again.
    """
    taken = {TISSUES[name].colour for name in names if name in TISSUES}
    every = [*(tissue.colour for tissue in TISSUES.values()), *_MORE_COLOURS]
    free = [colour for colour in every if colour not in taken] or every
    others = [name for name in names if name not in TISSUES]
    colours = {name: free[k % len(free)] for k, name in enumerate(others)}
    return tuple(TISSUES[name].colour if name in TISSUES else colours[name] for name in names)


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
    """A class's name as the value of the BIDS entity `label`: "ventricles" is "Ventricles", the cortex "CGM"."""
    part = file_part(name)
    tissue = TISSUES.get(part.replace("-", " "))
    if tissue and tissue.bids:
        return tissue.bids
    return "".join(word[:1].upper() + word[1:] for word in part.split("-"))


def round_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Round float32 probabilities of any shape to multiples of 2^-16, in place, and return them.

    What lies below says nothing, but fills files: traces of every class in every voxel of the brain take nine tenths of
    their size.
    """
    probabilities *= _PROBABILITY_STEPS
    np.rint(probabilities, out=probabilities)
    probabilities /= _PROBABILITY_STEPS
    return probabilities


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
