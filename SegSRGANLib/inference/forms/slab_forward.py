"""A whole volume at once, without patches, seams and overlap, in bounded memory.

Held at full resolution, the feature maps of a whole volume would take 200 bytes a voxel and more. They are never
held: the first convolution, and the last upsampling with the last convolution, run in slabs of slices. Instance
normalization needs the mean and variance of the *whole* map before any of it can go on, so both maps are computed
twice: once for the statistics, slab by slab, and once for use. That costs a fifth more arithmetic than holding them,
and gives the same numbers.

Per axis, a slab of slices [first, last) needs `border` more on both sides; where those lie outside the volume they
are mirrored, as everywhere in the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ...networks.moments import channel_moments
from ...utils.progress import Progress, ShouldStop, scaled, stop_if
from .fast_forward import FastGenerator, channels_last_buffer, mirror, padded_copy, replicated

_SLAB_BYTES = 1 << 28  # of the feature maps of one slab
_Features = Callable[[int, int], torch.Tensor]  # slices [first, last) to (1, C, last - first, H, W)


@torch.no_grad()
def predict_streaming(
    form: FastGenerator,
    x: torch.Tensor,
    *,
    slab: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> torch.Tensor:
    """Predict a whole volume, as `form(x)` would, in less memory.

    Memory: the input, the output, and about 70 bytes a voxel.

    Args:
        form: of any generator but a U-Net, which needs its full-resolution features twice.
        x: (1, 1, D, H, W) on the CPU; D, H and W multiples of 4, at least 8.
        slab: slices at once, a multiple of 4; by default as many as fit into 256 MB.
        progress, should_stop: called for each slab.

    Returns:
        (1, C, D, H, W).

    Raises:
        ValueError: a U-Net.
        Cancelled: should_stop said so.
    """
    if form.unet:
        raise ValueError("A U-Net cannot predict a whole volume in slabs; use patches.")
    return _Stream(form, x, slab, progress, should_stop).result()


class _Stream:
    """One volume on its way through a generator."""

    def __init__(
        self,
        form: FastGenerator,
        x: torch.Tensor,
        slab: int | None,
        progress: Progress | None,
        should_stop: ShouldStop | None,
    ) -> None:
        self._form, self._net, self._x = form, form.network, x
        self._depth = x.shape[2]
        self._slab = slab or _slab_height(self._depth, x.shape[3] * x.shape[4], form.network)
        self._progress, self._should_stop = progress, should_stop
        self._padded, self._coarse = padded_copy(x, 3), x

    def result(self) -> torch.Tensor:
        """Down, through the coarse levels, and up again."""
        net = self._net
        apply = _statistics(self._first, net.norm1, self._slabs(0.0, 0.13, "Whole volume: first layer"))
        shape = (1, net.conv2.out_channels, *(n // 2 for n in self._x.shape[2:]))
        half = torch.empty(shape, memory_format=torch.channels_last_3d)
        for first, last in self._slabs(0.13, 0.31, "Whole volume: on the way down"):
            y = self._activated(self._first, first, last, 1, apply)
            half[:, :, first // 2 : last // 2] = self._form.conv(net.conv2, y)
        stop_if(self._should_stop)
        self._coarse = replicated(self._form.coarse_levels(half))
        del half
        apply = _statistics(self._last, net.norm_up2, self._slabs(0.55, 0.65, "Whole volume: on the way up"))
        result = self._x.new_empty((1, net.output.out_channels, *self._x.shape[2:]))
        for first, last in self._slabs(0.65, 1.0, "Whole volume: last layer"):
            y = self._form.conv(net.output, self._activated(self._last, first, last, 3, apply))
            result[:, :, first:last] = net.head(self._x[:, :, first:last], net.output.sum_taps(y))
        return result

    def _slabs(self, low: float, high: float, message: str) -> Iterator[tuple[int, int]]:
        """(first, last) slices of each slab; reports from `low` to `high`."""
        report = scaled(self._progress, low, high)
        for first in range(0, self._depth, self._slab):
            stop_if(self._should_stop)
            last = min(first + self._slab, self._depth)
            yield first, last
            report(last / self._depth, message)

    def _first(self, first: int, last: int) -> torch.Tensor:
        """Features of the first convolution."""
        return self._form.conv(self._net.conv1, self._padded[:, :, first : last + 6])

    def _last(self, first: int, last: int) -> torch.Tensor:
        """Features of the last upsampling, from the half-resolution slices that hold these."""
        low, high = first // 2, -(-last // 2)
        fine = self._form.upsample(self._net.up2, self._coarse[:, :, low : high + 2])
        return fine[:, :, first - 2 * low : last - 2 * low]

    def _activated(
        self, features: _Features, first: int, last: int, border: int, apply: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Normalized and rectified slices [first - border, last + border), reflected where they leave the volume."""
        low, high = max(0, first - border), min(self._depth, last + border)
        y = features(low, high)
        padded = channels_last_buffer(y[:, :, : last - first], y.shape[1], border)
        before, after = low - (first - border), last + border - high
        rows = padded[:, :, before : padded.shape[2] - after]
        torch.addcmul(apply[1], y, apply[0], out=rows[..., border:-border, border:-border]).relu_()
        mirror(rows[..., border:-border, :], 4, border, border)
        mirror(rows, 3, border, border)
        mirror(padded, 2, before, after)
        return padded


def _statistics(
    features: _Features, norm: nn.Module, slabs: Iterator[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What an instance normalization multiplies and adds, from all slabs (Chan et al., 1979, in float64)."""
    count, mean, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for first, last in slabs:
        y = features(first, last)
        new = y[0, 0].numel()
        new_mean, new_variance = (value[0] for value in channel_moments(y))
        offset, total = new_mean - mean, count + new
        mean = mean + offset * new / total
        squares = squares + new_variance * new + offset**2 * count * new / total
        count = total
    scale, shift = norm.scale_and_shift(mean, squares / count)
    return scale.float().view(-1, 1, 1, 1), shift.float().view(-1, 1, 1, 1)


def _slab_height(depth: int, slice_voxels: int, network: Any) -> int:
    """Slices at once: three maps of `filters` channels live at a time, and those of further classes at the end."""
    maps = 3 * network.config.filters + 8 * (getattr(network, "classes", 1) - 1)
    fitting = _SLAB_BYTES // (4 * maps * slice_voxels)
    return max(8, min(depth, fitting // 4 * 4))
