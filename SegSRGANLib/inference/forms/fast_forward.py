"""The inference form of a generator: the same numbers with fewer passes over memory, without gradients, on the CPU.

What it does beyond the layers' own tricks (see `layers.py`), each worth 2 to 5 % of a patch's time:

- Filters are rearranged once, when a model is loaded, and stored with the channels last, as are the activations: the
  convolution kernels work on blocks of channels and need no reordering before and after.
- A convolution's input is written once: normalization, then ReLU straight into the middle of a buffer that has room
  for the border, then the border.
- A residual block adds to its input where it lies.
- The eight phases of an upsampling are normalized together and written straight to their places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...networks.image_network import ImageNetwork
from ...networks.keras_segsrgan import KerasGenerator
from ...networks.layers import ResidualBlock, UpsampleConv
from ...networks.segsrgan import Generator

_LAYOUT = torch.channels_last_3d


class FastGenerator(ImageNetwork):
    """A `Generator` or `KerasGenerator`, computed for inference: (N, 1, D, H, W) -> (N, C, D, H, W), float32.

    It keeps a copy of the filters: build it again when the network's weights change.
    """

    def __init__(self, network: Generator | KerasGenerator) -> None:
        super().__init__()
        self.network = network
        self.multiple, self.minimum = network.multiple, network.minimum
        self.unet = bool(getattr(network.config, "unet", False))
        self._filters = {
            module: prepared_filters(module) for module in network.modules() if isinstance(module, nn.Conv3d)
        }
        # a conditional generator's slice spacing has no effect, see KerasGenerator.forward
        first = network.conv1
        self._filters[first] = self._filters[first][:, :1].contiguous(memory_format=_LAYOUT)

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch; see the network's own `forward`."""
        net = self.network
        full = _activated(net.norm1, self.conv(net.conv1, padded_copy(x[:, :1], 3)))
        if self.unet:
            full = self._block(net.block_full, full)
        y = self.conv(net.conv2, full)
        full = full if self.unet else None  # a U-Net needs it again; otherwise its memory is free for the rest
        y = self._upsampled(net.up2, net.norm_up2, self.coarse_levels(y), full, 3)
        return net.head(x[:, :1], net.output.sum_taps(self.conv(net.output, y)))

    def coarse_levels(self, y: torch.Tensor) -> torch.Tensor:
        """All below full resolution: what comes out of conv2 to what goes into up2, which is padded by one."""
        net = self.network
        half = _activated(net.norm2, y)
        if self.unet:
            half = self._block(net.block_half, half)
        coarse = _activated(net.norm3, self.conv(net.conv3, half))
        for block in net.blocks:
            coarse = self._block(block, coarse)
        return self._upsampled(net.up1, net.norm_up1, coarse, half if self.unet else None, 1)

    def conv(self, layer: nn.Conv3d, padded: torch.Tensor) -> torch.Tensor:
        """Convolve what is padded already with a layer's prepared filters."""
        return F.conv3d(padded, self._filters[layer], stride=layer.stride)

    def upsample(self, layer: UpsampleConv, padded: torch.Tensor) -> torch.Tensor:
        """Upsampling and convolution of what is padded by one, by repeating its border."""
        y = self.conv(layer, padded)
        fine = [2 * (n - 1) for n in y.shape[2:]]
        whole = torch.empty((y.shape[0], layer.out_channels, *fine), dtype=y.dtype, memory_format=_LAYOUT)
        for (p, q, r), part in layer.phases(y):
            whole[:, :, p::2, q::2, r::2] = part
        return whole

    def _block(self, block: ResidualBlock, padded: torch.Tensor) -> torch.Tensor:
        """A residual block, in place: both the argument and the result are padded by one."""
        y = _activated(block.norm_a, self.conv(block.conv_a, padded))
        y = self.conv(block.conv_b, y)
        inside(padded, 1).add_(block.norm_b.without_gradient(y, out=y))
        return reflected(padded, 1)

    def _upsampled(
        self, layer: UpsampleConv, norm: nn.Module, coarse: torch.Tensor, skipped: torch.Tensor | None, border: int
    ) -> torch.Tensor:
        """Upsample what is padded by one; in a U-Net, append what was skipped. The result is padded by `border`."""
        y = self.upsample(layer, replicated(coarse))
        return _activated(norm, y, border, None if skipped is None else inside(skipped, 1))


def prepared_filters(layer: nn.Conv3d) -> torch.Tensor:
    """The filters that a layer really convolves with, channels last."""
    if isinstance(layer, UpsampleConv):
        filters = layer.phase_filters()
    elif hasattr(layer, "tap_filters"):
        filters = layer.tap_filters()
    else:
        filters = layer.weight
    return filters.detach().contiguous(memory_format=_LAYOUT)


def _activated(norm: nn.Module, y: torch.Tensor, border: int = 1, skipped: torch.Tensor | None = None) -> torch.Tensor:
    """Normalization and ReLU, and optionally further channels after them, with a reflected border."""
    channels = y.shape[1] + (0 if skipped is None else skipped.shape[1])
    padded = channels_last_buffer(y, channels, border)
    middle = inside(padded, border)
    norm.without_gradient(y, out=middle[:, : y.shape[1]]).relu_()
    if skipped is not None:
        middle[:, y.shape[1] :] = skipped
    return reflected(padded, border)


def padded_copy(x: torch.Tensor, border: int) -> torch.Tensor:
    """A copy with a reflected border."""
    padded = channels_last_buffer(x, x.shape[1], border)
    inside(padded, border).copy_(x)
    return reflected(padded, border)


def channels_last_buffer(like: torch.Tensor, channels: int, border: int) -> torch.Tensor:
    """Uninitialized (N, channels, D + 2 border, ...), channels last."""
    depth, height, width = (n + 2 * border for n in like.shape[2:])
    return like.new_empty((like.shape[0], depth, height, width, channels)).permute(0, 4, 1, 2, 3)


def inside(padded: torch.Tensor, border: int) -> torch.Tensor:
    """The view without the border."""
    return padded[:, :, border:-border, border:-border, border:-border]


def reflected(padded: torch.Tensor, border: int) -> torch.Tensor:
    """Fill the border with the mirrored inside; the outermost inner voxel is the mirror."""
    for axis in (4, 3, 2):
        mirror(_without_later_borders(padded, axis, border), axis, border, border)
    return padded


def mirror(padded: torch.Tensor, axis: int, before: int, after: int) -> None:
    """Fill the first `before` and the last `after` layers of an axis with the mirrored others."""
    last = padded.shape[axis] - 1
    for k in range(1, before + 1):
        padded.select(axis, before - k).copy_(padded.select(axis, before + k))
    for k in range(1, after + 1):
        padded.select(axis, last - after + k).copy_(padded.select(axis, last - after - k))


def replicated(padded: torch.Tensor) -> torch.Tensor:
    """Fill a border of one with the outermost inner voxel."""
    for axis in (4, 3, 2):
        view = _without_later_borders(padded, axis, 1)
        view.select(axis, 0).copy_(view.select(axis, 1))
        view.select(axis, -1).copy_(view.select(axis, -2))
    return padded


def _without_later_borders(padded: torch.Tensor, axis: int, border: int) -> torch.Tensor:
    """Borders are filled from the last axis to the first, each with the corners of those filled before."""
    for other in range(2, axis):
        padded = padded.narrow(other, border, padded.shape[other] - 2 * border)
    return padded
