"""Super-resolve, then segment what was super-resolved: more quality for the same computation than the paper's network.

The paper's generator does both with the same normalized features. Normalization is what a segmentation needs to carry
over from one scanner's contrast to another's, and what an intensity must not have: it forgets the scale. So here the
two are parts of one network, each built for its purpose:

- a residual network without normalization and without biases, so that its intensities follow the input's scale
  exactly, f(a x) = a f(x) (Mohan et al., ICLR 2020), with scaled residuals (Lim et al., EDSR, CVPRW 2017);
- a residual U-Net with instance normalization and leaky activations (Isensee et al., nnU-Net, 2021), whose input is
  the super-resolved volume. Its gradient stops there: no intensity changes to please the segmentation.

Both work at half resolution and below: the eight voxels of a 2^3 cell are eight channels (Shi et al., CVPR 2016). The
paper's generator spends half of its multiplications, and most of its memory traffic, at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..data.classes import MOST_CLASSES
from .image_network import ImageNetwork
from .initialization import draw_weights
from .layers import InstanceNorm, UpsampleConv

SLOPE = 0.1  # of the leaky activations
SCALE = 0.2  # of a residual: without normalization, full ones make the first steps diverge
_CELL = 8  # voxels of a 2^3 cell


@dataclass(frozen=True)
class CascadeConfig:
    """Shape of a cascade.

    filters: channels at half resolution, of both parts; the U-Net has 2 x at a quarter and 4 x below.
    blocks: residual blocks of the super-resolving part.
    levels: resolutions of the segmenting U-Net, from one half down.
    classes: to segment, one probability channel each.
    segmentation_filters: channels of the segmenting part at half resolution; 0 takes `filters`.
    """

    filters: int = 32
    blocks: int = 4
    levels: int = 4
    classes: int = 1
    segmentation_filters: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.filters <= 256:
            raise ValueError(f"A cascade has 2 to 256 filters, not {self.filters}.")
        if not 1 <= self.blocks <= 64:
            raise ValueError(f"A cascade has 1 to 64 blocks, not {self.blocks}.")
        if not 1 <= self.levels <= 5:
            raise ValueError(f"A cascade has 1 to 5 levels, not {self.levels}.")
        if not 1 <= self.classes <= MOST_CLASSES:
            raise ValueError(f"A cascade segments 1 to {MOST_CLASSES} classes, not {self.classes}.")
        if self.segmentation_filters != 0 and not 2 <= self.segmentation_filters <= 256:
            raise ValueError(f"The segmenting part has 2 to 256 filters, not {self.segmentation_filters}.")


class LinearBlock(nn.Module):
    """conv - leaky ReLU - conv, scaled, plus the input: (N, C, D, H, W) -> same. It begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.conv_b = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        draw_weights(self.conv_a.weight, SLOPE)
        nn.init.zeros_(self.conv_b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the two convolutions find to the input."""
        return x + SCALE * self.conv_b(F.leaky_relu(self.conv_a(x), SLOPE))


class NormalizedBlock(nn.Module):
    """conv - norm - leaky ReLU - conv - norm, plus the input, activated: (N, C, D, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm_a = InstanceNorm(channels)
        self.conv_b = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm_b = InstanceNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the two convolutions find to the input."""
        y = F.leaky_relu(self.norm_a(self.conv_a(x)), SLOPE)
        return F.leaky_relu(x + self.norm_b(self.conv_b(y)), SLOPE)


class SegmentingUNet(nn.Module):
    """Residual U-Net: cells (N, 8, D, H, W) -> log-odds of each cell's eight voxels, (N, 8 classes, D, H, W)."""

    def __init__(self, filters: int, levels: int, classes: int = 1) -> None:
        super().__init__()
        widths = [filters * min(2**level, 4) for level in range(levels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = nn.Sequential(nn.Conv3d(_CELL, filters, 3, padding=1, bias=False), InstanceNorm(filters))
        self.encoders = nn.ModuleList(NormalizedBlock(width) for width in widths)
        self.downs = nn.ModuleList(_down(fine, coarse) for fine, coarse in pairs)
        self.ups = nn.ModuleList(
            nn.Sequential(UpsampleConv(coarse, fine), InstanceNorm(fine)) for fine, coarse in pairs
        )
        self.decoders = nn.ModuleList(NormalizedBlock(width) for width in widths[:-1])
        self.head = nn.Conv3d(filters, _CELL * classes, 3, padding=1)
        nn.init.constant_(self.head.bias, -2.0)  # ty: ignore[invalid-argument-type]   # most voxels are not cortex, nor any other single class

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Down, up, and back to the cells."""
        y, skips = F.leaky_relu(self.stem(cells), SLOPE), []
        for level, encoder in enumerate(self.encoders):
            y = encoder(y)
            if level < len(self.downs):
                skips.append(y)
                y = self.downs[level](y)
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            y = decoder(F.leaky_relu(up(y) + skips.pop(), SLOPE))
        return self.head(y)


class Cascade(ImageNetwork):
    """Interpolated intensity in, super-resolved intensity and probability of each class out.

    multiple: every side of the input must be a multiple of this. minimum: and at least this long.
    """

    segments = True

    def __init__(self, config: CascadeConfig = CascadeConfig()) -> None:
        super().__init__()
        self.config, self.classes = config, config.classes
        # see `memory_plan.peak_bytes`; each class more is held as cells, as voxels, as probability and in the result
        wide = config.segmentation_filters or config.filters
        self.working_maps = 1.5 * max(config.filters, wide) + 4 * (config.classes - 1)
        self.multiple = 2**config.levels
        self.minimum = 2 * self.multiple  # a single voxel at the coarsest level has no deviation to normalize by
        self.volume_maps = config.filters / _CELL  # of the super-resolving part, which sees a whole volume
        self.stem = nn.Conv3d(_CELL, config.filters, 3, padding=1, bias=False)
        draw_weights(self.stem.weight, None)
        self.blocks = nn.Sequential(*(LinearBlock(config.filters) for _ in range(config.blocks)))
        self.output = nn.Conv3d(config.filters, _CELL, 3, padding=1, bias=False)
        self.segmentation = SegmentingUNet(wide, config.levels, config.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch.

        Args:
            x: (N, 1, D, H, W), interpolated intensities; D, H and W multiples of `multiple`.

        Returns:
            (N, 1 + classes, D, H, W): channel 0 is the input plus the residual, then the probability of each class.
        """
        sharp = self.super_resolve(x)
        return torch.cat([sharp, self.segment(sharp.detach())], dim=1)

    def super_resolve(self, x: torch.Tensor) -> torch.Tensor:
        """The first half: (N, 1, D, H, W) interpolated intensities -> the same plus the residual."""
        return x + to_voxels(SCALE * self.output(self.blocks(self.stem(to_cells(x)))))

    def segment(self, sharp: torch.Tensor) -> torch.Tensor:
        """The second half: (N, 1, D, H, W) super-resolved intensities -> (N, classes, D, H, W) probabilities."""
        return torch.sigmoid(to_voxels(self.segmentation(to_cells(sharp))).to(sharp.dtype))


def _down(fine: int, coarse: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(fine, coarse, 2, stride=2, bias=False), InstanceNorm(coarse), nn.LeakyReLU(SLOPE))


def to_cells(x: torch.Tensor) -> torch.Tensor:
    """Every 2^3 cell's voxels as channels: (N, 1, 2D, 2H, 2W) -> (N, 8, D, H, W)."""
    n, _, depth, height, width = x.shape
    cells = x.reshape(n, depth // 2, 2, height // 2, 2, width // 2, 2)
    return cells.permute(0, 2, 4, 6, 1, 3, 5).flatten(1, 3)


def to_voxels(cells: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_cells`, for each eight channels: (N, 8 k, D, H, W) -> (N, k, 2D, 2H, 2W)."""
    fine = cells.unflatten(1, (-1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return fine.flatten(6, 7).flatten(4, 5).flatten(2, 3)
