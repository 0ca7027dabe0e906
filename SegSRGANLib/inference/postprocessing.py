"""The brain mask that some of the original project's models predict beside the cortex."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def brain_mask(channels: np.ndarray) -> np.ndarray:
    """Turn a network's mask channels into labels.

    Args:
        channels: (1, z, y, x), the probability of brain, or (classes, z, y, x), a softmax.

    Returns:
        (z, y, x) uint8: the largest connected part of the brain as 1; or the most probable class.
    """
    if len(channels) > 1:
        return channels.argmax(axis=0).astype(np.uint8)
    return largest_part(channels[0] >= 0.5)


def largest_part(inside: np.ndarray) -> np.ndarray:
    """The largest connected part (corners connect) of what is True in a (z, y, x) array, uint8 0 or 1."""
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(inside.astype(np.uint8)), True)
    largest_first = sitk.RelabelComponent(parts, sortByObjectSize=True)
    return (sitk.GetArrayFromImage(largest_first) == 1).astype(np.uint8)
