"""Convolutions with prepared filters, one with its activation or with the addition that follows it where possible.

oneDNN, the library behind torch's convolutions on a CPU, applies an activation or adds to another tensor while the
results of a convolution are still in registers. torch reaches these forms by operators of its own compiler. Whether
they exist and are right is tried once; everywhere else the same is done in steps.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

_LAYOUT = torch.channels_last_3d
_ONES = [1, 1, 1]


class PreparedConv:
    """A convolution for inference, channels last: (N, in, D, H, W) -> (N, out, D', H', W').

    filters: (out, in, k, k, k). bias: (out,) or None. stride: along all axes. dtype: of the filters and the input.
    """

    def __init__(
        self, filters: torch.Tensor, bias: torch.Tensor | None = None, stride: int = 1, dtype: torch.dtype | None = None
    ) -> None:
        self.filters = filters.detach().to(dtype or filters.dtype).contiguous(memory_format=_LAYOUT)
        self.bias = None if bias is None else bias.detach().to(self.filters.dtype)
        self.stride = stride
        self._fused = filters.device.type == "cpu" and fused_operators_work(self.filters.dtype)

    def __call__(
        self, x: torch.Tensor, padding: tuple[int, int, int] = (0, 0, 0), slope: float | None = None
    ) -> torch.Tensor:
        """Convolve; then a leaky ReLU of this slope, if any.

        Args:
            x: (N, in, D, H, W) of the filters' type. padding: zeros on both sides of D, H and W.
        """
        if self._fused:
            return _convolution(x, self.filters, self.bias, padding, self.stride, slope)
        y = F.conv3d(x, self.filters, self.bias, self.stride, padding)
        return y if slope is None else F.leaky_relu_(y, slope)

    def add_to(self, total: torch.Tensor, x: torch.Tensor, padding: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Convolve, and add the result to `total` where it lies; stride 1, no bias."""
        if self._fused and total.is_contiguous(memory_format=_LAYOUT):
            _add_convolution(total, x, self.filters, padding)
        else:
            total += F.conv3d(x, self.filters, self.bias, padding=padding)


@cache
def fused_operators_work(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the fused operators, for this type, and they compute what they should."""
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    x, filters = (torch.randn(shape, generator=generator) for shape in ((1, 4, 6, 6, 6), (4, 4, 3, 3, 3)))
    x, filters = (t.to(dtype).contiguous(memory_format=_LAYOUT) for t in (x, filters))
    expected = F.conv3d(x.float(), filters.float(), padding=1)
    try:
        leaky = _convolution(x, filters, None, (1, 1, 1), 1, 0.1)
        total = x.clone(memory_format=_LAYOUT)
        _add_convolution(total, x, filters, (1, 1, 1))
    except (RuntimeError, AttributeError, TypeError):  # another version of torch, or another processor
        return False
    close = 1e-4 if dtype == torch.float32 else 0.2
    errors = (leaky.float() - F.leaky_relu(expected, 0.1), total.float() - x.float() - expected)
    return all(error.abs().max().item() < close for error in errors)


def _convolution(
    x: torch.Tensor,
    filters: torch.Tensor,
    bias: torch.Tensor | None,
    padding: tuple[int, int, int],
    stride: int,
    slope: float | None,
) -> torch.Tensor:
    activation = ("none", []) if slope is None else ("leaky_relu", [slope])
    operator = torch.ops.mkldnn._convolution_pointwise  # `F.conv3d` leaves small inputs to a slower kernel
    return operator(x, filters, bias, list(padding), [stride] * 3, _ONES, 1, *activation, "")


def _add_convolution(
    total: torch.Tensor, x: torch.Tensor, filters: torch.Tensor, padding: tuple[int, int, int]
) -> None:
    operator = torch.ops.mkldnn._convolution_pointwise_.binary
    operator(total, x, filters, None, list(padding), _ONES, _ONES, 1, "add", 1.0, None, [], "")
