"""The generator's building blocks, each computed in its fastest equal form.

Every layer holds the weights of the textbook layer (so a checkpoint stays readable) and computes the same function
with fewer memory passes; `Testing/networks/test_segsrgan.py` compares each with the textbook formula. Each trick
stands here once: `forward` is the differentiable form, and `inference/forms/fast_forward.py` puts the same pieces
together without gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from .moments import channel_moments


class ReflectConv(nn.Conv3d):
    """Convolution k^3 without bias, reflect-padded by (k - 1) / 2: (N, in, D, H, W) -> (N, out, D/s, H/s, W/s)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        return super().forward(F.pad(x, (self.kernel_size[0] // 2,) * 6, mode="reflect"))


class InstanceNorm(nn.GroupNorm):
    """Affine instance normalization, (N, C, D, H, W) -> same.

    One channel a group is the same function as instance normalization, and its kernel is faster on the CPU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize; on the CPU the kernel for channels-last maps loses the variance beside a large mean."""
        return super().forward(x.contiguous() if x.device.type == "cpu" else x)

    def without_gradient(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Normalize (N, C, D, H, W), by centred moments, into `out`, which may be `x` itself."""
        return _scaled(x, *self.scale_and_shift(*channel_moments(x)), out)

    def scale_and_shift(self, mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The numbers (..., C) by which a channel of this mean and variance is multiplied, and that are then added."""
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return scale, self.bias - mean * scale


class KerasInstanceNorm(nn.Module):
    """Affine instance normalization as the original Keras project wrote it: it divides by (std + 1e-7)."""

    _ADDED = 1e-7

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize each channel of each volume: (N, C, D, H, W) -> same."""
        variance, mean = torch.var_mean(x, dim=(2, 3, 4), correction=0, keepdim=True)
        # 1e-30 changes no value, and keeps the gradient of the root finite where a channel is constant
        scale = self.weight.view(-1, 1, 1, 1) / (torch.sqrt(variance + 1e-30) + self._ADDED)
        return (x - mean) * scale + self.bias.view(-1, 1, 1, 1)

    def without_gradient(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Normalize (N, C, D, H, W), by centred moments, into `out`, which may be `x` itself."""
        return _scaled(x, *self.scale_and_shift(*channel_moments(x)), out)

    def scale_and_shift(self, mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The numbers (..., C) by which a channel of this mean and variance is multiplied, and that are then added."""
        scale = self.weight / (torch.sqrt(variance) + self._ADDED)
        return scale, self.bias - mean * scale


def _scaled(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """Multiply by and add numbers (N, C), float64 until here."""
    scale, shift = (values.to(x.dtype)[:, :, None, None, None] for values in (scale, shift))
    return torch.addcmul(shift, x, scale, out=out)


class UpsampleConv(ReflectConv):
    """Nearest upsampling by 2, then convolution 3^3: (N, in, D, H, W) -> (N, out, 2D, 2H, 2W).

    Two neighbours of an upsampled axis are copies of one coarse voxel, so three taps on the fine grid are two taps on
    the coarse grid, other ones for even and for odd voxels. One convolution 2^3 with 8 x the filters computes all
    eight phases, with 8/27 of the multiplications and without the upsampled tensor. At the border, reflecting the fine
    grid by one voxel is repeating the coarse one.
    """

    # taps of the coarse grid (rows) that each tap of the fine grid (columns) falls on, for even and odd fine voxels
    _PHASES = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve on the coarse grid, then interleave the phases."""
        y = F.conv3d(F.pad(x, (1,) * 6, mode="replicate"), self.phase_filters())
        parts = [part for _, part in self.phases(y)]
        fine = torch.stack(parts, dim=-1).unflatten(-1, (2, 2, 2))  # (N, out, D, H, W, p, q, r)
        return fine.permute(0, 1, 2, 5, 3, 6, 4, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    def phase_filters(self) -> torch.Tensor:
        """The filters (8 out, in, 2, 2, 2) of the eight phases on the coarse grid."""
        phases = self._PHASES.to(self.weight)
        return torch.einsum("pak,qbl,rcm,oiklm->pqroiabc", phases, phases, phases, self.weight).flatten(0, 3)

    def phases(self, y: torch.Tensor) -> Iterator[tuple[tuple[int, int, int], torch.Tensor]]:
        """The convolved coarse grid's parts, (N, out, D, H, W) each, and the fine voxels (first of two) they are for.

        Args:
            y: (N, 8 out, D + 1, H + 1, W + 1), the coarse grid, padded by one, after `phase_filters`.
        """
        depth, height, width = (n - 1 for n in y.shape[2:])
        y = y.unflatten(1, (2, 2, 2, self.out_channels))
        for p, q, r in product((0, 1), repeat=3):
            yield (p, q, r), y[:, p, q, r, :, p : p + depth, q : q + height, r : r + width]


class OutputConv(ReflectConv):
    """Convolution k^3 to a few channels, (N, in, D, H, W) -> (N, out, D, H, W).

    Matrix kernels need many output channels to be fast, and this layer has few. One convolution over two axes makes
    k x the channels, one group for each tap of the third axis; shifting the groups and adding them up is that axis.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve over (H, W) with one filter group a depth tap, then sum the shifted groups."""
        y = F.conv3d(F.pad(x, (self.kernel_size[0] // 2,) * 6, mode="reflect"), self.tap_filters())
        return self.sum_taps(y)

    def tap_filters(self) -> torch.Tensor:
        """The filters (k out, in, 1, k, k): those of the first depth tap, of the second ..."""
        return self.weight.permute(2, 0, 1, 3, 4).flatten(0, 1).unsqueeze(2)

    def sum_taps(self, y: torch.Tensor) -> torch.Tensor:
        """Shift the taps' results onto each other: (N, k out, D + k - 1, H, W) -> (N, out, D, H, W).

        A view does the shifting: going on by one tap is going on by `out` channels and by one slice.
        """
        taps, outputs = self.kernel_size[0], self.out_channels
        batch, channel, slice_, row, column = y.stride()
        shape = (y.shape[0], taps, outputs, y.shape[2] - taps + 1, *y.shape[3:])
        return y.as_strided(shape, (batch, outputs * channel + slice_, channel, slice_, row, column)).sum(dim=1)


class ResidualBlock(nn.Module):
    """conv - norm - ReLU - conv - norm, plus the input: (N, C, D, H, W) -> same (paper, Fig. 1)."""

    def __init__(self, channels: int, norm: Callable[[int], nn.Module] = InstanceNorm) -> None:
        super().__init__()
        self.conv_a = ReflectConv(channels, channels, 3)
        self.norm_a = norm(channels)
        self.conv_b = ReflectConv(channels, channels, 3)
        self.norm_b = norm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the two convolutions find to the input."""
        y = F.relu(self.norm_a(self.conv_a(x)))
        return x + self.norm_b(self.conv_b(y))
