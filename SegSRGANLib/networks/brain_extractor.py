"""The network that finds the brain in a head: a small 3D U-Net on voxels of 3 mm."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

SPACING = 3.0  # mm, of the voxels that the network sees
_CEILING = 1.5  # of the scale: bright fat beside the coil says no more than "bright"
_SCALE_QUANTILE = 0.99
_MOST_SAMPLES = 200_000  # voxels that the scale is read from


@dataclass(frozen=True)
class BrainExtractorConfig:
    """Channels of each level, from the input's resolution to the coarsest; each level halves the resolution."""

    channels: tuple[int, ...] = (16, 32, 48, 64, 96)

    @property
    def multiple(self) -> int:
        """Each length of an input is a multiple of this number of voxels."""
        return 2 ** (len(self.channels) - 1)


class _Normalized(nn.Module):
    """Convolution 3^3, batch normalization, leaky ReLU: (N, in, D, H, W) -> (N, out, D/s, H/s, W/s).

    The brain fills from nothing to half of a field of view. Normalized by itself, as instances are, a volume with much
    brain would be darkened by that brain, and the border of the mask would move with it.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.weight, self.bias = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_var", torch.ones(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalize each channel over all volumes (by the running moments in evaluation), rectify."""
        moments = (self.running_mean, self.running_var)
        x = F.batch_norm(self.conv(x), *moments, self.weight, self.bias, self.training, momentum=0.05)
        return F.leaky_relu(x, 0.01, inplace=True)


class BrainExtractor(nn.Module):
    """U-Net with added skips: (N, 1, D, H, W), see `scaled_input`, -> (N, 1, D, H, W), the logit of brain.

    Strided convolutions go down, trilinear interpolation of fewer channels goes up.
    """

    def __init__(self, config: BrainExtractorConfig = BrainExtractorConfig()) -> None:  # noqa: B008 (frozen)
        super().__init__()
        self.config = config
        c = config.channels
        self.stem = _Normalized(1, c[0])
        self.down = nn.ModuleList(_Normalized(a, b, stride=2) for a, b in zip(c, c[1:], strict=False))
        self.encode = nn.ModuleList(_Normalized(b, b) for b in c[:-1])
        self.reduce = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in zip(c, c[1:], strict=False))
        self.decode = nn.ModuleList(_Normalized(a, a) for a in c[:-1])
        self.head = nn.Conv3d(c[0], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logit of brain for each voxel; lengths must be multiples of `config.multiple`."""
        x = self.stem(x)
        skips = []
        for encode, down in zip(self.encode, self.down, strict=True):
            x = encode(x)
            skips.append(x)
            x = down(x)
        levels = zip(reversed(self.reduce), reversed(self.decode), reversed(skips), strict=True)
        for reduce, decode, skip in levels:
            x = F.interpolate(reduce(x), scale_factor=2, mode="trilinear", align_corners=False)
            x = decode(x + skip)
        return self.head(x)


def scaled_input(volumes: torch.Tensor) -> torch.Tensor:
    """Bring each volume (N, 1, D, H, W), 0 in the air, to one scale: 1 is the 99th percentile of what is not 0.

    Values are cut at 0 and 1.5. A volume without content stays 0.
    """
    flat = volumes.flatten(1)
    samples = flat[:, :: max(1, flat.shape[1] // _MOST_SAMPLES)].float()
    content = torch.where(samples > 0, samples, torch.nan)
    scale = torch.nanquantile(content, _SCALE_QUANTILE, dim=1).nan_to_num(1.0).clamp_min(1e-12)
    return (volumes / scale.view(-1, 1, 1, 1, 1).to(volumes.dtype)).clamp(0.0, _CEILING)
