"""SRReCNN, the paper's reference [11]: super-resolution by a deep residual CNN, without segmentation.

Pham et al., "Brain MRI super-resolution using deep 3D convolutional networks", ISBI 2017 (hal-01635455): twenty
convolutions 3^3 of 64 filters at full resolution, trained on the l2 distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .image_network import ImageNetwork
from .initialization import draw_weights

_NOISE = 0.1  # variance of what a filter adds to a rotation of the channels, before the training


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


class SRReCNN(ImageNetwork):
    """Interpolated intensity in, super-resolved intensity out: the input plus what the convolutions find missing."""

    segments = False
    channels_last = True  # on the CPU 1.4 x as fast with its many channels
    multiple = 1
    minimum = 1

    def __init__(self, config: SRReCNNConfig = SRReCNNConfig()) -> None:
        super().__init__()
        self.config = config
        self.working_maps = 5 * config.filters  # see `memory_plan.peak_bytes`
        layers: list[nn.Module] = []
        inputs = 1
        for _ in range(config.layers - 1):
            convolution = nn.Conv3d(inputs, config.filters, 3, padding=1)
            start_linear(convolution)
            layers += [convolution, nn.ReLU(inplace=True)]
            inputs = config.filters
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv3d(inputs, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch: (N, 1, D, H, W), interpolated intensities in [0, 1] -> the same shape."""
        return x + self.output(self.layers(x))


@torch.no_grad()
def start_linear(convolution: nn.Conv3d) -> None:
    """Make a stack of such convolutions and ReLUs begin as one nearly linear function.

    Half of the filters are the other half negated, so a ReLU loses nothing: relu(a) - relu(-a) = a (Balduzzi et al.,
    ICML 2017). Apart from a little noise a filter is a rotation of the channels at its central voxel (Xiao et al., ICML
    2018), so nineteen of them neither blow up nor blur, and the first steps already learn.

    Args:
        convolution: of one channel, or of channels that such a convolution made; an odd filter more is random.
    """
    if convolution.weight.is_meta:  # no values to begin with
        return
    filters, inputs = convolution.weight.shape[:2]
    draw_weights(convolution.weight, None)
    nn.init.zeros_(_bias(convolution))
    half, before = filters // 2, inputs // 2
    if inputs == 1:
        convolution.weight[half : 2 * half] = -convolution.weight[:half]
    elif half and before:
        weight = torch.randn(half, before, 3, 3, 3) * (_NOISE / (27 * before)) ** 0.5
        weight[:, :, 1, 1, 1] += nn.init.orthogonal_(torch.empty(half, before))
        convolution.weight[: 2 * half, : 2 * before] = torch.cat(
            [torch.cat([weight, -weight], dim=1), torch.cat([-weight, weight], dim=1)]
        )


def _bias(layer: nn.Conv3d) -> torch.Tensor:
    """The bias of a convolution that has one."""
    if layer.bias is None:
        raise ValueError("The convolution has no bias.")
    return layer.bias
