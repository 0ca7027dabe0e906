"""The generators of the original project's public release (koopa31/SegSRGAN, Keras), as it trained them.

They differ from the paper's in details that its weights depend on: six residual blocks, intensity = input *minus*
what the network says, another instance normalization, and four variants that can be combined. Tensors are
(N, C, D, H, W), float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .image_network import ImageNetwork
from .layers import KerasInstanceNorm, OutputConv, ReflectConv, ResidualBlock, UpsampleConv

_BLOCKS = 6


@dataclass(frozen=True)
class KerasGeneratorConfig:
    """Which of the original's generators.

    filters: channels of the first convolution; two strides double them to 2 x and 4 x.
    unet: one residual block a level and skip concatenations, instead of six blocks at the coarsest level.
    conditional: the first convolution has a second input channel for the slice spacing.
    residual: the first output is subtracted from the input; otherwise it is the intensity.
    mask_channels: outputs for the brain mask: 0, 1 (its probability), or more (a softmax over classes).
    """

    filters: int = 16
    unet: bool = False
    conditional: bool = False
    residual: bool = True
    mask_channels: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.filters <= 256:
            raise ValueError(f"A generator has 1 to 256 filters, not {self.filters}.")
        if not 0 <= self.mask_channels <= 16:
            raise ValueError(f"A generator has 0 to 16 mask channels, not {self.mask_channels}.")


class KerasGenerator(ImageNetwork):
    """One of the original project's generators; the layers are named as in `segsrgan.Generator`."""

    multiple = 4  # two strides of 2: every side of the input must be a multiple of this
    minimum = 8  # and at least this long, so that every reflect padding has something to reflect
    shared_output = True  # the last convolution makes both channels out of the same, normalized features
    classes = 1  # the cortex; what comes after it is the brain mask

    def __init__(self, config: KerasGeneratorConfig = KerasGeneratorConfig()) -> None:  # noqa: B008 (frozen)
        super().__init__()
        self.config, self.mask_channels = config, config.mask_channels
        filters, norm, skip = config.filters, KerasInstanceNorm, 2 if config.unet else 1
        self.streams = not config.unet  # its full-resolution features are needed twice
        self.working_maps = 6.5 * filters * skip  # see `memory_plan.peak_bytes`
        self.conv1 = ReflectConv(2 if config.conditional else 1, filters, 7)
        self.norm1 = norm(filters)
        self.conv2 = ReflectConv(filters, 2 * filters, 3, stride=2)
        self.norm2 = norm(2 * filters)
        self.conv3 = ReflectConv(2 * filters, 4 * filters, 3, stride=2)
        self.norm3 = norm(4 * filters)
        self.block_full = ResidualBlock(filters, norm) if config.unet else nn.Identity()
        self.block_half = ResidualBlock(2 * filters, norm) if config.unet else nn.Identity()
        self.blocks = nn.Sequential(*(ResidualBlock(4 * filters, norm) for _ in range(1 if config.unet else _BLOCKS)))
        self.up1 = UpsampleConv(4 * filters, 2 * filters)
        self.norm_up1 = norm(2 * filters)
        self.up2 = UpsampleConv(2 * filters * skip, filters)
        self.norm_up2 = norm(filters)
        self.output = OutputConv(filters * skip, 2 + config.mask_channels, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch.

        A conditional generator may be given the slice spacing in mm as a second channel, as the original does. It
        need not be: the channel is constant, so is its convolution (reflected borders included), and the
        normalization that follows subtracts every constant. The result is the same without it.

        Args:
            x: (N, 1 or 2, D, H, W), interpolated intensities in [0, 1]; D, H and W multiples of 4, at least 8.

        Returns:
            (N, 2 + mask channels, D, H, W): intensity, probability of cortex, then the mask's channels.
        """
        full = self.block_full(F.relu(self.norm1(self._first(x))))
        half = self.block_half(F.relu(self.norm2(self.conv2(full))))
        y = self.blocks(F.relu(self.norm3(self.conv3(half))))
        y = self.joined(F.relu(self.norm_up1(self.up1(y))), half)
        y = self.joined(F.relu(self.norm_up2(self.up2(y))), full)
        return self.head(x[:, :1], self.output(y))

    def joined(self, y: torch.Tensor, skipped: torch.Tensor) -> torch.Tensor:
        """In a U-Net, the upsampled features `y` and those of the same level on the way down."""
        return torch.cat([y, skipped], dim=1) if self.config.unet else y

    def head(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Turn the last convolution's channels `y` into intensity, probability of cortex and mask channels."""
        intensity = x - y[:, :1] if self.config.residual else y[:, :1]
        if self.config.mask_channels > 1:
            return torch.cat([intensity, torch.sigmoid(y[:, 1:2]), torch.softmax(y[:, 2:], dim=1)], dim=1)
        return torch.cat([intensity, torch.sigmoid(y[:, 1:])], dim=1)

    def _first(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] == self.conv1.in_channels:
            return self.conv1(x)
        return F.conv3d(F.pad(x, (3,) * 6, mode="reflect"), self.conv1.weight[:, :1])
