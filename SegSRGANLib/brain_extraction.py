"""The brain's mask in a T2-weighted scan of a newborn's head, or of a fetus in its mother.

Steps: the scan on voxels of 2 mm with its own axes - a small network over the field of view, then once more over the
neighbourhood of the brain - the largest piece, without holes, smoothed - back on the scan's grid.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from safetensors import SafetensorError, safe_open

from .brain_extractor import SPACING, BrainExtractor, BrainExtractorConfig, scaled_input
from .brain_mask import largest_part
from .checkpoint import CheckpointError
from .device import choose_device
from .geometry import Grid, output_grid
from .progress import Progress, ShouldStop, scaled, stop_if
from .separable import apply_along, as_tensor
from .weights import models_folder

_TILE = 176  # voxels of 2 mm: most heads and mothers fit in one
_OVERLAP = 32  # voxels
_AROUND = 30.0  # mm around the brain that the second look sees
_PIECE = 1.0  # mL: smaller pieces are not counted
_SMOOTHING = 1.5  # mm, sigma
_LEAST, _MOST = 30.0, 900.0  # mL: a fetus of 20 weeks has about 50, a child of two years 1000
_SURE = 0.9  # expected Dice
_CUT = 0.03  # of the surface
_STRIPPED_BACKGROUND = 0.4  # share of voxels of one value around a stripped brain
_STRIPPED_DICE = 0.94  # of the content and the brain found in it


@dataclass(frozen=True)
class BrainChecks:
    """What a mask tells about itself.

    volume_ml: its volume. pieces: parts of at least 1 mL before the largest was taken. other_ml: volume of the others.
    cut: share of its surface on the faces of the field of view. confidence: Dice that the network's own probabilities
    expect of it. stripped: whether the scan shows nothing but the brain.
    """

    volume_ml: float
    pieces: int
    other_ml: float
    cut: float
    confidence: float
    stripped: bool

    def warnings(self) -> list[str]:
        """Sentences about what speaks against the mask; none for a plausible one."""
        found = []
        if not _LEAST <= self.volume_ml <= _MOST:
            found.append(
                f"The brain mask has {self.volume_ml:.0f} mL; fetuses and newborns have {_LEAST:.0f} to {_MOST:.0f} mL."
            )
        if self.cut > _CUT:
            found.append(f"The field of view cuts the brain: {100 * self.cut:.0f} % of its surface lie on a face.")
        if self.confidence < _SURE:
            found.append(f"The brain was found with little certainty (expected Dice {self.confidence:.2f}).")
        if self.other_ml > 0.15 * self.volume_ml:
            found.append(f"Another {self.other_ml:.0f} mL in {self.pieces - 1} pieces looked like brain, too.")
        return found


@dataclass(frozen=True)
class BrainExtraction:
    """A brain mask, uint8, 1 = brain, on the grid of its scan, and its checks."""

    mask: sitk.Image
    checks: BrainChecks


def extract_brain(
    image: sitk.Image,
    device: str | torch.device = "auto",
    *,
    network: BrainExtractor | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> BrainExtraction:
    """Find the brain with the fluid around it, inside the skull.

    Args:
        image: 3D T2-weighted scan of any grid and orientation.
        device: see `device.choose_device`.
        network: to use in place of the bundled one; it must be on the device.
        progress, should_stop: see `progress`.

    Raises:
        ValueError: no brain was found.
        CheckpointError: the bundled network is missing or damaged.
        Cancelled: should_stop said so.
    """
    device = choose_device(device)
    network = load_brain_extractor(device) if network is None else network
    report = scaled(progress, 0, 1)
    report(0.0, "Looking for the brain")
    scan = torch.from_numpy(sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))).nan_to_num_(0.0, 0.0, 0.0)
    source, coarse = Grid.of(image), output_grid(Grid.of(image), SPACING)
    volume = _carried(scan, source, coarse, max)
    predict = functools.partial(_predicted, network, device, should_stop=should_stop)
    probability = predict(volume)
    report(0.6, "Looking for the brain")
    inside, pieces = _largest(probability)
    box = _box(inside, volume.shape)
    probability = np.zeros_like(probability)
    probability[box] = predict(volume[box])
    inside, pieces = _largest(probability)
    smooth = _smoothed(probability, inside)
    mask = _carried(torch.from_numpy(smooth), coarse, source, lambda own, other: own).numpy() >= 0.5
    mask, stripped = _whole_content(scan.numpy(), mask)
    report(1.0, "Found the brain")
    checks = _checks(mask, source, probability, inside, pieces, stripped)
    return BrainExtraction(source.image(mask.astype(np.uint8)), checks)


@functools.lru_cache(maxsize=2)
def load_brain_extractor(device: torch.device) -> BrainExtractor:
    """The bundled network, verified by its checksum.

    Raises:
        CheckpointError: its file is missing, damaged or changed.
    """
    listed = json.loads((models_folder() / "models.json").read_text(encoding="utf-8"))
    entries = listed.get("brain_extractors", [])
    if not entries:
        raise CheckpointError("The brain extractor is missing in models.json; install SegSRGAN again.")
    path = models_folder() / entries[0]["file"]
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entries[0]["sha256"]:
        raise CheckpointError(f"The file {path.name} of the brain extractor is missing or damaged; install it again.")
    return read_brain_extractor(path, device)


def read_brain_extractor(path: Path, device: torch.device) -> BrainExtractor:
    """A network from a .safetensors file of `training.brain`.

    Raises:
        CheckpointError: the file is not one.
    """
    try:
        with safe_open(path, "pt") as stored:
            config = json.loads((stored.metadata() or {})["config"])
            network = BrainExtractor(BrainExtractorConfig(tuple(config["channels"])))
            network.load_state_dict({key: stored.get_tensor(key).float() for key in stored.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path.name} does not hold a brain extractor ({error}).") from error
    return network.to(device).eval().requires_grad_(False)


def _carried(
    volume: torch.Tensor, source: Grid, target: Grid, width: Callable[[float, float], float]
) -> torch.Tensor:
    """A volume (z, y, x) on another grid of the same field of view, by a tent as wide as `width` says.

    width: of the source's and the target's spacing; the larger of both averages where voxels become larger.
    """
    for axis in range(3):
        matrix = tent_matrix(source.size[axis], target.size[axis], source.spacing[axis], target.spacing[axis], width)
        volume = apply_along(volume, as_tensor(matrix, volume), 2 - axis)
    return volume


def tent_matrix(
    inputs: int, outputs: int, spacing: float, wanted: float, width: Callable[[float, float], float]
) -> np.ndarray:
    """Resampling along one axis (outputs, inputs) with the near faces in common; rows sum to 1.

    The weight of an input falls linearly to 0 at a distance of `width(spacing, wanted)` mm.
    """
    at = (np.arange(outputs) + 0.5) * wanted
    centres = np.clip((np.arange(inputs) + 0.5) * spacing, None, None)
    # positions beyond the outermost centres take their values
    at = np.clip(at, centres[0], centres[-1])
    weights = np.clip(1 - np.abs(at[:, None] - centres) / width(spacing, wanted), 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


@torch.inference_mode()
def _predicted(
    network: BrainExtractor, device: torch.device, volume: torch.Tensor, should_stop: ShouldStop | None
) -> np.ndarray:
    """The probability of brain (z, y, x), float32; tiles of large volumes overlap and are blended."""
    padded = _padded(volume, network.config.multiple)
    given = scaled_input(padded[None, None].to(device))[0, 0]
    total, weights = torch.zeros_like(given), torch.zeros_like(given)
    for box in _tiles(tuple(given.shape), network.config.multiple):
        stop_if(should_stop)
        probability = torch.sigmoid(network(given[box][None, None])[0, 0])
        weight = _blending(tuple(probability.shape)).to(device)
        total[box] += probability * weight
        weights[box] += weight
    depth, height, width = volume.shape
    return (total / weights)[:depth, :height, :width].cpu().numpy()


def _padded(volume: torch.Tensor, multiple: int) -> torch.Tensor:
    """Zeros behind the last voxels, so that each length is a multiple."""
    missing = [-n % multiple for n in volume.shape]
    return torch.nn.functional.pad(volume, (0, missing[2], 0, missing[1], 0, missing[0]))


def _tiles(shape: tuple[int, ...], multiple: int) -> list[tuple[slice, ...]]:
    """Boxes of at most `_TILE` voxels a side that cover a volume; lengths and places are multiples of `multiple`."""
    starts = []
    for n in shape:
        count = 1 if n <= _TILE else int(np.ceil((n - _OVERLAP) / (_TILE - _OVERLAP)))
        step = 0 if count == 1 else (n - _TILE) / (count - 1)
        starts.append([int(round(k * step / multiple)) * multiple for k in range(count)])
    return [
        tuple(slice(s, min(s + _TILE, n)) for s, n in zip((z, y, x), shape, strict=True))
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    ]


def _blending(shape: Sequence[int]) -> torch.Tensor:
    """Weights of a tile's voxels: they fall from its middle to its faces."""
    weight = torch.ones(())
    for n in shape:
        at = torch.arange(n) + 0.5
        weight = weight[..., None] * torch.minimum(at, n - at).clamp_max(_OVERLAP / 2)
    return weight


def _largest(probability: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The largest piece above one half (bool), and the volumes in mL of all pieces of some size, largest first.

    Raises:
        ValueError: there is none.
    """
    likely = probability >= 0.5
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(likely.astype(np.uint8))))
    labels = sitk.GetArrayViewFromImage(parts)
    volumes = np.bincount(labels.ravel())[1:] * SPACING**3 / 1000
    pieces = [float(v) for v in volumes if v >= _PIECE]
    if not pieces:
        raise ValueError(
            "No brain was found in this volume. Give a brain mask, or choose none when the volume is a brain already."
        )
    return labels == 1, pieces


def _box(inside: np.ndarray, shape: Sequence[int]) -> tuple[slice, ...]:
    """The box of the brain with its neighbourhood."""
    margin = round(_AROUND / SPACING)
    box = []
    for axis, n in enumerate(shape):
        found = np.flatnonzero(inside.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(max(0, int(found[0]) - margin), min(n, int(found[-1]) + 1 + margin)))
    return tuple(box)


def _smoothed(probability: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The piece without holes as a soft mask: its own probabilities at the border, smoothed; one half is the border."""
    filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(inside.astype(np.uint8)), True)) > 0
    near = sitk.GetArrayFromImage(sitk.BinaryDilate(sitk.GetImageFromArray(filled.astype(np.uint8)), [1] * 3)) > 0
    soft = np.where(near, probability, np.float32(0))
    soft[filled & ~(probability >= 0.5)] = 1
    image = sitk.GetImageFromArray(soft)
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, _SMOOTHING / SPACING))


def _whole_content(scan: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, bool]:
    """The mask, and whether the scan shows nothing but the brain; then the mask is all that it shows."""
    background = scan.flat[0] if scan.flat[0] == scan.min() else scan.min()
    content = scan != background
    if content.mean() > 1 - _STRIPPED_BACKGROUND or not mask.any():
        return mask, False
    content = largest_part(content) > 0
    content = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(content.astype(np.uint8)))) > 0
    dice = 2 * np.count_nonzero(content & mask) / (np.count_nonzero(content) + np.count_nonzero(mask))
    return (content, True) if dice >= _STRIPPED_DICE else (mask, False)


def _checks(
    mask: np.ndarray, grid: Grid, probability: np.ndarray, inside: np.ndarray, pieces: list[float], stripped: bool
) -> BrainChecks:
    volume = float(np.count_nonzero(mask) * np.prod(grid.spacing) / 1000)
    expected = 2 * float(probability[inside].sum()) / float(probability.sum() + inside.sum())
    return BrainChecks(
        round(volume, 1), len(pieces), round(sum(pieces[1:]), 1), round(_cut(inside), 3), round(expected, 3), stripped
    )


def _cut(inside: np.ndarray) -> float:
    """Share of a mask's surface that lies on the faces of its volume."""
    padded = np.pad(inside, 1)
    surface = sum(int(np.count_nonzero(np.diff(padded, axis=axis))) for axis in range(3))
    on_faces = sum(int(np.count_nonzero(inside.take((0, -1), axis=axis))) for axis in range(3))
    return on_faces / max(1, surface)
