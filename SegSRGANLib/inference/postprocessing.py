"""The brain mask that some of the original project's models predict beside the cortex."""

from __future__ import annotations

import numpy as np

from ..transforms.components import largest_component


def brain_mask(channels: np.ndarray) -> np.ndarray:
    """Turn a network's mask channels into labels.

    Args:
        channels: (1, z, y, x), the probability of brain, or (classes, z, y, x), a softmax.

    Returns:
        (z, y, x) uint8: the largest connected part of the brain as 1; or the most probable class.
    """
    if len(channels) > 1:
        return channels.argmax(axis=0).astype(np.uint8)
    return largest_component(channels[0] >= 0.5)
