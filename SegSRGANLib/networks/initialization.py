"""Random weights of networks that are trained from the start."""

from __future__ import annotations

import torch
from torch import nn


def draw_weights(weight: torch.Tensor, slope: float | None) -> None:
    """He's normal initialization (He et al., ICCV 2015), in place.

    Weights on the meta device have no values, and stay so: torch would load its compiler to draw them, which takes
    seconds at each start.

    Args:
        weight: of a convolution. slope: of the leaky ReLU before it; None: there is none.
    """
    if weight.is_meta:
        return
    if slope is None:
        nn.init.kaiming_normal_(weight, nonlinearity="linear")
    else:
        nn.init.kaiming_normal_(weight, slope)
