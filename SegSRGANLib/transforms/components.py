"""Where a mask lies and what it is made of: bounding box, connected components (voxels that share a corner connect)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..utils.triples import triple

Box = tuple[slice, slice, slice]


def bounding_box(inside: np.ndarray, margin: int | Sequence[int] = 0) -> Box:
    """The smallest box around what is True in a (z, y, x) array.

    Args:
        inside: bool. margin: voxels to keep around it, one number or (z, y, x); the box ends at the array's border.

    Raises:
        ValueError: nothing is True.
    """
    if not inside.any():
        raise ValueError("The brain mask is empty; give a mask that covers the brain.")
    margins = (margin,) * 3 if isinstance(margin, int) else margin
    box = []
    for axis, (length, around) in enumerate(zip(inside.shape, margins, strict=True)):
        hits = np.flatnonzero(inside.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(max(int(hits[0]) - around, 0), min(int(hits[-1]) + 1 + around, length)))
    return triple(box)


def component_sizes(inside: sitk.Image) -> list[int]:
    """Voxels of each connected component of a uint8 segmentation, not 0 is inside."""
    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(inside, True))
    return np.bincount(components.ravel())[1:].tolist()


def largest_component(inside: np.ndarray) -> np.ndarray:
    """The largest connected component of what is True in a (z, y, x) array, uint8 0 or 1."""
    components = sitk.ConnectedComponent(sitk.GetImageFromArray(inside.astype(np.uint8)), True)
    largest_first = sitk.RelabelComponent(components, sortByObjectSize=True)
    return (sitk.GetArrayFromImage(largest_first) == 1).astype(np.uint8)
