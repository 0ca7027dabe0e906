"""What every network that predicts images says of itself."""

from __future__ import annotations

from typing import Any

from torch import nn


class ImageNetwork(nn.Module):
    """A network that makes an image out of an image, and perhaps probabilities of classes.

    config: the frozen dataclass that it was built from. multiple: every side of an input is a multiple of this number
    of voxels. minimum: and at least this long. mask_channels: of a brain mask, after the classes.
    """

    config: Any
    multiple: int
    minimum: int
    mask_channels: int = 0
