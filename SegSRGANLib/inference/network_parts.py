"""Models that do one half of the work: the intensity alone, or the segmentation of what is sharp already.

Several stacks are super-resolved one by one, fused, and segmented once. A cascade has both halves in one network; other
networks run as a whole, and what is not wanted is left.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from ..models.checkpoint import Model
from ..networks.cascade import Cascade


class IntensityPart(nn.Module):
    """The super-resolving half of a cascade: (N, 1, D, H, W) -> (N, 1, D, H, W)."""

    segments = False
    classes = 0
    patchless = True  # sees a whole volume in slabs, see `cascade_forward`

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade = cascade
        self.multiple, self.minimum = cascade.multiple, cascade.minimum
        self.working_maps, self.volume_maps = cascade.working_maps, cascade.volume_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Interpolated to super-resolved intensity."""
        return self.cascade.super_resolve(x)


class SegmentationPart(nn.Module):
    """The segmenting half of a cascade: (N, 1, D, H, W) -> (N, 1 + classes, D, H, W), the intensity as it came."""

    segments = True

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade, self.classes = cascade, cascade.classes
        self.multiple, self.minimum, self.working_maps = cascade.multiple, cascade.minimum, cascade.working_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The intensity, and the probability of each class."""
        return torch.cat([x, self.cascade.segment(x)], dim=1)


def intensity_model(model: Model) -> Model:
    """The model without its segmentation, where the network has one that can be left out."""
    if isinstance(model.network, Cascade):
        return replace(model, network=IntensityPart(model.network))
    return model


def segmentation_model(model: Model) -> Model:
    """The model without its super-resolution, where the network has one that can be left out."""
    if isinstance(model.network, Cascade):
        return replace(model, network=SegmentationPart(model.network))
    return model
