"""A residual U-Net: more quality for the same computation than the paper's generator.

The paper's generator spends half of its multiplications, and most of its memory traffic, at full resolution. This one
works at half resolution and below; only a thin last layer sees every voxel. It has no normalization, so what it does
to a voxel depends neither on the patch's size nor on what else lies in it, and no biases, so its intensities follow
the input's scale exactly: f(a x) = a f(x) (Mohan et al., ICLR 2020). Without normalization the start decides: He's
weights, leaky activations and blocks that begin as the identity keep a large learning rate from killing channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .layers import OutputConv, UpsampleConv

_SLOPE = 0.1  # of the leaky activations


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a residual U-Net.

    filters: channels at half resolution; doubled at each level below, up to 4 x.
    levels: resolutions, from one half down.
    blocks: residual blocks at each level, on the way down and again on the way up.
    """

    filters: int = 32
    levels: int = 3
    blocks: int = 2

    def __post_init__(self) -> None:
        if not 2 <= self.filters <= 256:
            raise ValueError(f"A U-Net has 2 to 256 filters, not {self.filters}.")
        if not 1 <= self.levels <= 5:
            raise ValueError(f"A U-Net has 1 to 5 levels, not {self.levels}.")
        if not 1 <= self.blocks <= 16:
            raise ValueError(f"A U-Net has 1 to 16 blocks a level, not {self.blocks}.")


class PlainBlock(nn.Module):
    """conv - LeakyReLU - conv, plus the input: (N, C, D, H, W) -> same. It begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.conv_b = nn.Conv3d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the two convolutions find to the input."""
        return x + self.conv_b(F.leaky_relu(self.conv_a(x), _SLOPE))


class UNet(nn.Module):
    """Interpolated intensity in, super-resolved intensity and cortex probability out.

    multiple: every side of the input must be a multiple of this. minimum: and at least this long.
    """

    segments = True

    def __init__(self, config: UNetConfig = UNetConfig()) -> None:
        super().__init__()
        self.config = config
        self.multiple = self.minimum = 2**config.levels
        widths = [config.filters * min(2**level, 4) for level in range(config.levels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = nn.Conv3d(1, widths[0], 4, stride=2, padding=1, bias=False)
        self.encoders = nn.ModuleList(_level(width, config.blocks) for width in widths)
        self.downs = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2, bias=False) for fine, coarse in pairs)
        self.ups = nn.ModuleList(UpsampleConv(coarse, fine) for fine, coarse in pairs)
        self.decoders = nn.ModuleList(_level(width, config.blocks) for width in widths[:-1])
        thin = max(4, config.filters * 3 // 8)
        self.head = UpsampleConv(widths[0], thin)
        self.output = OutputConv(thin + 1, 2, 3)
        self.rarity = nn.Parameter(torch.tensor(-2.0))  # log-odds of cortex where the image says nothing
        _initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch.

        Args:
            x: (N, 1, D, H, W), interpolated intensities; D, H and W multiples of `multiple`.

        Returns:
            (N, 2, D, H, W): channel 0 is the input plus the residual, channel 1 the probability of cortex.
        """
        y, skips = self.stem(x), []
        for level, encoder in enumerate(self.encoders):
            y = encoder(y)
            if level < len(self.downs):
                skips.append(y)
                y = self.downs[level](y)
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            y = decoder(up(y) + skips.pop())
        y = self.output(torch.cat([F.leaky_relu(self.head(y), _SLOPE), x], dim=1))
        return torch.cat([x + y[:, :1], torch.sigmoid(y[:, 1:] + self.rarity)], dim=1)


def _initialize(network: nn.Module) -> None:
    """He's initialization (2015), and residual blocks that add nothing yet."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, _SLOPE)
    for module in network.modules():
        if isinstance(module, PlainBlock):
            nn.init.zeros_(module.conv_b.weight)


def _level(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(PlainBlock(width) for _ in range(blocks)))
