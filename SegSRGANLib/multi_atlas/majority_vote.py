"""Majority voting: the simplest fusion of registered atlases, which every other system should beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from .evidence import WarpedAtlas, stacked_labels


def majority(warped: Sequence[WarpedAtlas], label: int) -> sitk.Image:
    """Where more than half of the registered atlases have the label.

    Args:
        warped: from `registration.register_atlases`.
        label: the wanted tissue's number.

    Returns:
        uint8, 0 or 1, on the atlases' grid.

    Raises:
        ValueError: no atlas, different grids, or no atlas with the label.
    """
    votes = (stacked_labels(warped, label) == label).sum(0)
    return Grid.of(warped[0].labels).image((2 * votes > len(warped)).astype(np.uint8))
