"""The networks of the paper: generator and discriminator (Pham et al., ISBI 2019, Section 2).

Tensors are (N, C, D, H, W), float32. Each network is built from a frozen config, which its checkpoint stores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..data.classes import MOST_CLASSES
from .image_network import ImageNetwork
from .layers import InstanceNorm, OutputConv, ReflectConv, ResidualBlock, UpsampleConv


@dataclass(frozen=True)
class GeneratorConfig:
    """Shape of a generator.

    filters: channels of the first convolution (the paper: 16); two strides double them to 2 x and 4 x.
    blocks: residual blocks at the coarsest level (the paper: 5).
    classes: to segment, one probability channel each (the paper: 1).
    calibration: added to the log-odds of every class after the training, so that validation volumes are best segmented
        at a probability of 0.5 (the paper: 0).
    """

    filters: int = 16
    blocks: int = 5
    classes: int = 1
    calibration: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.filters <= 256:
            raise ValueError(f"A generator has 1 to 256 filters, not {self.filters}.")
        if not 1 <= self.blocks <= 64:
            raise ValueError(f"A generator has 1 to 64 residual blocks, not {self.blocks}.")
        if not 1 <= self.classes <= MOST_CLASSES:
            raise ValueError(f"A generator segments 1 to {MOST_CLASSES} classes, not {self.classes}.")
        if not abs(self.calibration) <= 10:
            raise ValueError(f"The calibration of a generator lies between -10 and 10, not at {self.calibration}.")


class Generator(ImageNetwork):
    """The paper's generator: interpolated intensity in, super-resolved intensity and probability of each class out."""

    multiple = 4  # two strides of 2: every side of the input must be a multiple of this
    minimum = 8  # and at least this long, so that every reflect padding has something to reflect
    shared_output = True  # the last convolution makes all channels out of the same, normalized features
    streams = True  # a whole volume can be predicted in slabs, see `slab_forward`

    def __init__(self, config: GeneratorConfig = GeneratorConfig()) -> None:  # noqa: B008 (frozen)
        super().__init__()
        self.config = config
        filters, self.classes = config.filters, config.classes
        # see `memory_plan.peak_bytes`; the last convolution has seven taps for each class more, see `layers.OutputConv`
        self.working_maps = 6.5 * filters + 8 * (config.classes - 1)
        self.conv1 = ReflectConv(1, filters, 7)
        self.norm1 = InstanceNorm(filters)
        self.conv2 = ReflectConv(filters, 2 * filters, 3, stride=2)
        self.norm2 = InstanceNorm(2 * filters)
        self.conv3 = ReflectConv(2 * filters, 4 * filters, 3, stride=2)
        self.norm3 = InstanceNorm(4 * filters)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * filters) for _ in range(config.blocks)))
        self.up1 = UpsampleConv(4 * filters, 2 * filters)
        self.norm_up1 = InstanceNorm(2 * filters)
        self.up2 = UpsampleConv(2 * filters, filters)
        self.norm_up2 = InstanceNorm(filters)
        self.output = OutputConv(filters, 1 + config.classes, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch.

        Args:
            x: (N, 1, D, H, W), interpolated intensities in [0, 1]; D, H and W multiples of 4, at least 8.

        Returns:
            (N, 1 + classes, D, H, W): channel 0 is the input plus the residual, then the probability of each class.
        """
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        y = F.relu(self.norm3(self.conv3(y)))
        y = self.blocks(y)
        y = F.relu(self.norm_up1(self.up1(y)))
        y = F.relu(self.norm_up2(self.up2(y)))
        return self.head(x, self.output(y))

    def head(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Turn the last convolution's channels `y` into intensity (a correction of `x`) and probabilities."""
        return torch.cat([x + y[:, :1], torch.sigmoid(y[:, 1:] + self.config.calibration)], dim=1)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of a critic.

    filters: channels of its first convolution (the paper: 32), doubled four times.
    channels: of what it judges: intensity and segmentation, and perhaps a brain mask.
    """

    filters: int = 32
    channels: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.filters <= 256:
            raise ValueError(f"A discriminator has 1 to 256 filters, not {self.filters}.")
        if not 1 <= self.channels <= 64:
            raise ValueError(f"A discriminator judges 1 to 64 channels, not {self.channels}.")


class Discriminator(nn.Module):
    """The paper's critic: intensity and segmentation in, Wasserstein scores out.

    Five convolutions 4^3 with stride 2 and LeakyReLU(0.01), then one 2^3 to a single channel: no normalization and no
    last activation, as the gradient penalty asks for (Gulrajani et al., 2017).
    """

    def __init__(self, config: DiscriminatorConfig = DiscriminatorConfig()) -> None:  # noqa: B008 (frozen)
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        channels = config.channels
        for level in range(5):
            outputs = config.filters * 2**level
            layers += [nn.Conv3d(channels, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
            channels = outputs
        self.layers = nn.Sequential(*layers, nn.Conv3d(channels, 1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score one batch of pairs.

        Args:
            x: (N, channels, D, H, W), each side at least 64.

        Returns:
            (N, 1, d, h, w) scores; one a patch for 64^3.
        """
        return self.layers(x)
