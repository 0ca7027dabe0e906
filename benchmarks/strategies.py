"""Ways to predict a whole volume, side by side: the original project's, MONAI's and ours; and the plain network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from SegSRGANLib.inference.forms.choice import inference_form
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.networks.segsrgan import Generator


class PlainGenerator(nn.Module):
    """The paper's generator as a textbook writes it in torch, with the weights of one of ours."""

    def __init__(self, ours: Generator) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        net = self.ours
        y = self._unit(x, net.conv1, net.norm1)
        y = self._unit(y, net.conv2, net.norm2)
        y = self._unit(y, net.conv3, net.norm3)
        for block in net.blocks:
            r = self._unit(y, block.conv_a, block.norm_a)
            y = y + self._norm(self._conv(r, block.conv_b), block.norm_b)
        for conv, norm in ((net.up1, net.norm_up1), (net.up2, net.norm_up2)):
            y = self._unit(F.interpolate(y, scale_factor=2, mode="nearest"), conv, norm)
        y = self._conv(y, net.output)
        return torch.cat([x + y[:, :1], torch.sigmoid(y[:, 1:])], dim=1)

    def _conv(self, x: torch.Tensor, layer: nn.Conv3d) -> torch.Tensor:
        border = layer.kernel_size[0] // 2
        return F.conv3d(F.pad(x, (border,) * 6, mode="reflect"), layer.weight, stride=layer.stride)

    def _norm(self, x: torch.Tensor, layer: nn.GroupNorm) -> torch.Tensor:
        return F.instance_norm(x, weight=layer.weight, bias=layer.bias, eps=layer.eps)

    def _unit(self, x: torch.Tensor, conv: nn.Conv3d, norm: nn.GroupNorm) -> torch.Tensor:
        return F.relu(self._norm(self._conv(x, conv), norm))


def plain_form(network: nn.Module) -> nn.Module:
    """A network as its modules are written, without any of our tricks."""
    return PlainGenerator(network) if isinstance(network, Generator) else network


@dataclass(frozen=True)
class Strategy:
    """name: for the tables. kind: "original", "monai" or "ours". patch 0: whole volume. step: of the original's.

    precision: of ours.
    """

    name: str
    kind: str
    patch: int
    overlap: float = 0.0
    step: int = 0
    precision: str = "float32"

    def predict(self, network: nn.Module, volume: torch.Tensor, plain: bool = True) -> torch.Tensor:
        """(z, y, x) to (C, z, y, x). plain: as the others run it; otherwise in our fast form, for the same numbers."""
        if self.kind == "ours":
            return predict_volume(
                network, volume, PredictionOptions(self.patch, self.overlap, device="cpu", precision=self.precision)
            )
        form = plain_form(network) if plain else inference_form(network)
        with torch.inference_mode():
            if self.kind == "original":
                return _original(form, volume, self.patch, self.step)
            return _monai(form, volume, self.patch, self.overlap)

    def extrapolated_seconds(
        self, network: nn.Module, volume: torch.Tensor, patches: int, clock: Callable[[], float]
    ) -> float:
        """Of the original's strategy on the CPU, from its first patches: all are alike."""
        form, padded = plain_form(network), _padded(volume, self.patch, self.step)
        places = list(_places(padded.shape, self.patch, self.step))
        with torch.inference_mode():
            form(padded[places[0]][None, None])
            start = clock()
            for place in places[:patches]:
                form(padded[place][None, None])
        return (clock() - start) / min(patches, len(places)) * len(places)


STRATEGIES = [
    Strategy("original, patch 64 step 20", "original", 64, step=20),
    Strategy("original, patch 128 step 64", "original", 128, step=64),
    Strategy("MONAI, patch 64 overlap 0.5", "monai", 64, 0.5),
    Strategy("MONAI, patch 128 overlap 0.25", "monai", 128, 0.25),
    Strategy("MONAI, patch 128 overlap 0.5", "monai", 128, 0.5),
    *(
        Strategy(f"ours, {name}, {precision}", "ours", patch, overlap, precision=precision)
        for precision in ("float32", "bfloat16")  # "auto" would refuse bfloat16 on a volume of noise
        for name, patch, overlap in (
            ("patch 64 overlap 0.5", 64, 0.5),
            ("patch 128 overlap 0.25", 128, 0.25),
            ("patch 128 overlap 0.5", 128, 0.5),
            ("whole volume", 0, 0.0),
        )
    ),
]


def _monai(form: Callable, volume: torch.Tensor, patch: int, overlap: float) -> torch.Tensor:
    from monai.inferers import sliding_window_inference

    device = next(form.parameters()).device
    x = volume[None, None].to(device)
    return sliding_window_inference(x, (patch,) * 3, 1, form, overlap, mode="gaussian")[0].cpu()


def _original(form: Callable, volume: torch.Tensor, patch: int, step: int) -> torch.Tensor:
    """Zero padding up to a whole number of steps, patches one at a time, their plain average."""
    padded = _padded(volume, patch, step)
    total, count = None, torch.zeros(padded.shape)
    for place in _places(padded.shape, patch, step):
        prediction = form(padded[place][None, None])[0]
        total = torch.zeros((len(prediction), *padded.shape)) if total is None else total
        total[(slice(None), *place)] += prediction
        count[place] += 1
    before = [(p - v) // 2 for p, v in zip(padded.shape, volume.shape, strict=True)]
    inner = tuple(slice(b, b + n) for b, n in zip(before, volume.shape, strict=True))
    return (total / count)[(slice(None), *inner)]


def _padded(volume: torch.Tensor, patch: int, step: int) -> torch.Tensor:
    sides = [patch + -(-max(0, n - patch) // step) * step for n in volume.shape]
    missing = [side - n for side, n in zip(sides, volume.shape, strict=True)]
    return F.pad(volume, [value for m in reversed(missing) for value in (m // 2, m - m // 2)])


def _places(shape: torch.Size, patch: int, step: int) -> Iterator[tuple[slice, ...]]:
    for corner in product(*(range(0, n - patch + 1, step) for n in shape)):
        yield tuple(slice(start, start + patch) for start in corner)
