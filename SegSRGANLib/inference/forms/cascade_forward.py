"""The inference form of a cascade: the same numbers with fewer passes over memory, without gradients, on any device.

What it does beyond the plain modules:

- The two parts run one after the other. The super-resolving part has no normalization, so it can see a whole volume
  in slabs of slices, each voxel once and without borders inside; only the segmenting part needs patches.
- Filters are rearranged once, with the channels last, the scale of a residual within them; an activation or an
  addition is done by the convolution before it where the machine has that, see `fused_convolution`.
- A residual block keeps one map: slab by slab, what was read for the last time is overwritten.
- Statistics of a normalization are centred: each piece of a map has its mean and the squares around that mean, and
  pieces are combined in float64 (Chan et al., 1979). Normalization, addition and activation work in place.

In bfloat16, what depends on small differences stays in float32: the first convolution of each part with its
normalization, all statistics, the sum of input and residual, and the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ...networks.cascade import SCALE, SLOPE, Cascade, NormalizedBlock, SegmentingUNet, to_cells
from ...networks.layers import InstanceNorm
from .fused_convolution import PreparedConv

_LAYOUT = torch.channels_last_3d
_SAME, _FLAT = (1, 1, 1), (0, 1, 1)  # padding: of a whole map, of a slab that comes with its neighbours
_PIECE = 1 << 12  # voxels summed at once: a float32 sum of more loses digits
_SLAB_BYTES = {"cpu": 1 << 27}
_GPU_SLAB_BYTES = 1 << 31
Tick = Callable[[float], None]


class FastCascade(nn.Module):
    """A `Cascade` or one of its halves, computed for inference: (N, 1, D, H, W) -> (N, 1 + classes, D, H, W), float32.

    It keeps a copy of the filters on the network's device: build it again when the weights change.

    dtype: of the convolutions, float32 or bfloat16. sharpens, segments: which halves are computed; without the first
    one the intensity stays as it is, without the second one there are no classes.
    """

    def __init__(
        self, network: Cascade, dtype: torch.dtype = torch.float32, *, sharpens: bool = True, segments: bool = True
    ) -> None:
        super().__init__()
        self.network, self.dtype, self.sharpens, self.segments = network, dtype, sharpens, segments
        self.multiple, self.minimum = network.multiple, network.minimum
        self.classes = network.classes if segments else 0
        self.width = network.stem.out_channels
        blocks: Any = network.blocks  # for the type checker: a container holds modules of any kind
        self._stem = PreparedConv(network.stem.weight)
        self._output = PreparedConv(SCALE * network.output.weight, dtype=dtype)
        self._blocks = [
            (PreparedConv(block.conv_a.weight, dtype=dtype), PreparedConv(SCALE * block.conv_b.weight, dtype=dtype))
            for block in blocks
        ]
        self._segmentation = _FastUNet(network.segmentation, dtype)

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one batch; see `Cascade.forward`."""
        result = x.new_empty((x.shape[0], 1 + self.classes, *x.shape[2:]))
        for volume, place in zip(x, result, strict=True):
            self.sharpen(volume[0], place[0]) if self.sharpens else place[0].copy_(volume[0])
        if self.segments:
            self.segment(result[:, :1].contiguous(), result[:, 1:])
        return result

    @torch.no_grad()
    def sharpen(self, x: torch.Tensor, out: torch.Tensor, slab: int | None = None, tick: Tick | None = None) -> None:
        """Super-resolve a whole volume. Memory: one map of the filters at half resolution, and slabs of others.

        Args:
            x: (D, H, W) float32, even sides. out: the same shape, where the result goes; not x itself.
            slab: slices of half resolution at once; by default as many as fit into 128 MB, on a GPU into 2 GB.
            tick: called with the share that is done after each slab; may raise to stop.
        """
        depth, *sides = (n // 2 for n in x.shape)
        slab = slab or _slab_height(depth, self.width * sides[0] * sides[1], x.device)
        slabs = [(first, min(first + slab, depth)) for first in range(0, depth, slab)]
        steps = len(slabs) * (len(self._blocks) + 2)
        done = iter(range(1, steps + 1))

        def step() -> None:
            if tick is not None:
                tick(next(done) / steps)

        features = torch.empty((1, self.width, depth, *sides), dtype=self.dtype, device=x.device, memory_format=_LAYOUT)
        for first, last in slabs:
            cells = _cells(_rows(x[None, None], 2 * first - 2, 2 * last + 2))
            features[:, :, first:last] = self._stem(cells, _FLAT)
            step()
        for block in self._blocks:
            for _ in _add_block(features, *block, slabs):
                step()
        for first, last in slabs:
            residual = self._output(_rows(features, first - 1, last + 1), _FLAT)
            place = out[2 * first : 2 * last]
            _write_voxels(residual.float(), place[None, None])
            place += x[2 * first : 2 * last]
            step()

    @torch.no_grad()
    def segment(self, sharp: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Probability of each class: (N, 1, D, H, W) super-resolved intensity -> (N, classes, D, H, W), float32."""
        if out is None:
            out = sharp.new_empty((sharp.shape[0], self.classes, *sharp.shape[2:]))
        odds = self._segmentation(_cells(sharp)).float()
        _write_voxels(odds.sigmoid_(), out)
        return out


class _FastUNet:
    """A `SegmentingUNet` for inference, from cells to log-odds."""

    def __init__(self, network: SegmentingUNet, dtype: torch.dtype) -> None:
        self._dtype = dtype
        parts: Any = network  # for the type checker: its containers hold modules of any kind
        self._stem = PreparedConv(parts.stem[0].weight), parts.stem[1]
        self._encoders = [_FastBlock(block, dtype) for block in parts.encoders]
        self._downs = [(PreparedConv(down[0].weight, stride=2, dtype=dtype), down[1]) for down in parts.downs]
        self._ups = [(PreparedConv(up[0].phase_filters(), dtype=dtype), up[0], up[1]) for up in parts.ups]
        self._decoders = [_FastBlock(block, dtype) for block in parts.decoders]
        self._head = PreparedConv(parts.head.weight, parts.head.bias, dtype=dtype)

    def __call__(self, cells: torch.Tensor) -> torch.Tensor:
        convolution, norm = self._stem
        y, skips = activated(norm, convolution(cells, _SAME)).to(self._dtype), []
        for level, encoder in enumerate(self._encoders):
            y = encoder(y)
            if level < len(self._downs):
                skips.append(y)
                convolution, norm = self._downs[level]
                y = activated(norm, convolution(y))
        for up, decoder in zip(reversed(self._ups), reversed(self._decoders), strict=True):
            convolution, layer, norm = up
            coarse = convolution(F.pad(y, (1,) * 6, mode="replicate"))
            fine = [2 * (n - 1) for n in coarse.shape[2:]]
            y = coarse.new_empty((len(coarse), layer.out_channels, *fine)).contiguous(memory_format=_LAYOUT)
            for (p, q, r), part in layer.phases(coarse):
                y[:, :, p::2, q::2, r::2] = part
            y = decoder(activated(norm, y, skips.pop()))
        return self._head(y, _SAME)


class _FastBlock:
    """A `NormalizedBlock` for inference."""

    def __init__(self, block: NormalizedBlock, dtype: torch.dtype) -> None:
        self._convolutions = [PreparedConv(layer.weight, dtype=dtype) for layer in (block.conv_a, block.conv_b)]
        self._norms = block.norm_a, block.norm_b

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = activated(self._norms[0], self._convolutions[0](x, _SAME))
        return activated(self._norms[1], self._convolutions[1](y, _SAME), x)


def activated(norm: InstanceNorm, y: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
    """Instance normalization, an addition if any, and leaky ReLU; y is used up. Shapes (N, C, D, H, W)."""
    moments = [channel_moments(y[index : index + 1]) for index in range(len(y))]
    scaled = [norm.scale_and_shift(mean, variance) for mean, variance in moments]
    if y.dtype == torch.float32:
        scale, shift = (torch.stack(values)[:, :, None, None, None] for values in zip(*scaled, strict=True))
        torch.addcmul(shift, y, scale, out=y)
    else:  # computed in float32 within one pass
        zeros, ones = torch.zeros_like(scaled[0][0]), torch.ones_like(scaled[0][0])
        parts = [
            torch.batch_norm(y[index : index + 1], scale, shift, zeros, ones, False, 0.0, 0.0, False)
            for index, (scale, shift) in enumerate(scaled)
        ]
        y = parts[0] if len(parts) == 1 else torch.cat(parts)
    if added is not None:
        y += added
    return F.leaky_relu_(y, SLOPE)


def channel_moments(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each channel, float32 (C,), of one map (1, C, D, H, W) of any type.

    Never as a difference of large sums: where the mean is many times the deviation, that has no correct digit.
    """
    if y.device.type != "cpu":
        variance, mean = torch.var_mean(y.float(), dim=(0, 2, 3, 4), correction=0)
        return mean, variance
    pieces = y.permute(0, 2, 3, 4, 1).reshape(-1, y.shape[1]).split(_PIECE)  # (voxels, C), the same memory
    values = [torch.batch_norm_update_stats(piece.t()[None, :, :, None], None, None, 0.0) for piece in pieces]
    means, variances = (torch.stack(column).double() for column in zip(*values, strict=True))
    weights = torch.tensor([len(piece) for piece in pieces], dtype=torch.float64) / y[0, 0].numel()
    mean = weights @ means
    return mean.float(), (weights @ (variances + (means - mean).square())).float()


def _add_block(
    features: torch.Tensor, conv_a: PreparedConv, conv_b: PreparedConv, slabs: list[tuple[int, int]]
) -> Iterator[None]:
    """A `LinearBlock` in place, slab by slab.

    Of slices [first, last), the second convolution needs one more of the hidden map on both sides, and those one more
    of the features. The two hidden slices that the next slab shares are kept, so it reads no overwritten features.
    """
    depth = features.shape[2]
    if len(slabs) == 1:
        conv_b.add_to(features, conv_a(features, _SAME, SLOPE), _SAME)
        yield
        return
    border = features.new_zeros((1, features.shape[1], 1, *features.shape[3:])).contiguous(memory_format=_LAYOUT)
    kept, known = border, 0  # hidden slices up to `known`, beginning with first - 1
    for first, last in slabs:
        until = min(last + 1, depth)
        parts = [kept]
        if known < until:
            parts.append(conv_a(_rows(features, known - 1, until + 1), _FLAT, SLOPE))
        hidden = torch.cat([*parts, border] if last == depth else parts, dim=2)
        conv_b.add_to(features[:, :, first:last], hidden, _FLAT)
        kept, known = hidden[:, :, -2:].clone(), until
        yield


def _rows(x: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Slices [first, last) of (N, C, D, H, W), zero outside."""
    low, high = max(first, 0), min(last, x.shape[2])
    part = x[:, :, low:high]
    return part if (low, high) == (first, last) else F.pad(part, (0, 0, 0, 0, low - first, last - high))


def _cells(x: torch.Tensor) -> torch.Tensor:
    return to_cells(x).contiguous(memory_format=_LAYOUT)


def _write_voxels(cells: torch.Tensor, out: torch.Tensor) -> None:
    """Every eight channels of (N, 8 k, D, H, W) become the voxels of (N, k, 2D, 2H, 2W), as `to_voxels` has them."""
    depth, height, width = cells.shape[2:]
    source = cells.unflatten(1, (-1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    place = out.unflatten(4, (width, 2)).unflatten(3, (height, 2)).unflatten(2, (depth, 2))
    if cells.device.type != "cpu":
        place.copy_(source)
        return
    for index in range(depth):  # a slice fits into the cache, a volume would be read in strides
        place[:, :, index].copy_(source[:, :, index])


def _slab_height(depth: int, slice_values: int, device: torch.device) -> int:
    """Slices at once, of so many values each; slabs of about equal height."""
    fitting = max(4, _SLAB_BYTES.get(device.type, _GPU_SLAB_BYTES) // (4 * slice_values))
    return -(-depth // -(-depth // fitting))
