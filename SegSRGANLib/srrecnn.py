"""SRReCNN, the paper's reference [11]: super-resolution by a deep residual CNN, without segmentation.

Pham et al., "Brain MRI super-resolution using deep 3D convolutional networks", ISBI 2017 (hal-01635455): twenty
convolutions 3^3 of 64 filters at full resolution, trained on the l2 distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class SRReCNNConfig:
    """Shape of an SRReCNN.

    layers: convolutions, the last one to a single channel (the paper: 20). filters: of the others (the paper: 64).
    """

    layers: int = 20
    filters: int = 64

    def __post_init__(self) -> None:
        if not 2 <= self.layers <= 64:
            raise ValueError(f"An SRReCNN has 2 to 64 layers, not {self.layers}.")
        if not 1 <= self.filters <= 256:
            raise ValueError(f"An SRReCNN has 1 to 256 filters, not {self.filters}.")


class SRReCNN(nn.Module):
    """Interpolated intensity in, super-resolved intensity out: the input plus what the convolutions find missing."""

    segments = False
    multiple = 1
    minimum = 1

    def __init__(self, config: SRReCNNConfig = SRReCNNConfig()) -> None:
        super().__init__()
        self.config = config
        self.working_maps = 5 * config.filters  # see `plans.peak_bytes`
        layers: list[nn.Module] = []
        inputs = 1
        for _ in range(config.layers - 1):
            layers += [nn.Conv3d(inputs, config.filters, 3, padding=1), nn.ReLU(inplace=True)]
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")  # type: ignore[arg-type] (He et al., 2015)
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
            inputs = config.filters
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv3d(inputs, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch: (N, 1, D, H, W), interpolated intensities in [0, 1] -> the same shape."""
        return x + self.output(self.layers(x))
