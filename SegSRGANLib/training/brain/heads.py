"""Synthetic scans of heads with their brain masks, made in batches on the device from a pack of label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...networks.brain_extractor import SPACING
from ...utils.triples import triple
from .fields import (
    Shape,
    along_first,
    blurred,
    chance,
    orientations,
    per_item,
    pick,
    positions,
    rotations,
    sampled,
    slice_matrices,
    smooth_noise,
    uniform,
)
from .surroundings import Place, head_labels, mother_labels
from .tissues import Tissue, tables, textures

_PACK_SPACING, _DISTANCE_SPACING, _DISTANCE_UNIT = 1.5, 4.0, 0.5  # mm, as `pack` writes them
_TARGET_BLUR = 0.45  # voxels
_FAR = 1000.0  # mm: a brain out of every field
_NEWBORNS = 0.35  # share of the scans that show a newborn


@dataclass(frozen=True)
class HeadOptions:
    """How far scans vary.

    shapes: voxels (D, H, W); slices are thick along D before the axes are permuted. real: share of scans drawn from an
    image where the subject has one. like_t2: share of T2-weighted contrasts. stripped: share without surroundings.
    noise: highest deviation relative to fluid. thickness: highest, in mm. empty: share without a brain.
    """

    shapes: tuple[Shape, ...] = ((64, 64, 64), (48, 80, 80), (32, 96, 96), (32, 112, 112), (48, 64, 80))
    real: float = 0.5
    like_t2: float = 0.8
    stripped: float = 0.15
    noise: float = 0.12
    thickness: float = 6.0
    empty: float = 0.03


class Pack:
    """The volumes of `pack.write_pack` on a device."""

    def __init__(self, path: Path, device: torch.device) -> None:
        with np.load(path) as stored:
            arrays = {key: stored[key] for key in stored.files}
        self.names = [str(name) for name in arrays.pop("name")]
        self.tensors = {key: torch.from_numpy(array).to(device) for key, array in arrays.items()}
        self.device = device
        newborn = self.tensors["newborn"]
        # newborns are what the software is for, and fetuses in their mothers are harder to find
        of_newborns, of_others = _NEWBORNS / newborn.sum().clamp_min(1), (1 - _NEWBORNS) / (~newborn).sum().clamp_min(1)
        self.weight = torch.where(newborn, of_newborns, of_others)

    def draw(self, batch: int) -> dict[str, torch.Tensor]:
        """The volumes (N, 1, z, y, x) and facts of random subjects."""
        chosen = torch.multinomial(self.weight, batch, replacement=True)
        return {key: tensor[chosen] for key, tensor in self.tensors.items()}


class SyntheticHeads:
    """Draws batches of scans; the seed fixes them on one device."""

    def __init__(self, pack: Pack, options: HeadOptions = HeadOptions(), seed: int = 0) -> None:  # noqa: B008 (frozen)
        self._pack, self._options = pack, options
        self._generator = torch.Generator().manual_seed(seed)

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scans and soft brain masks, both (N, 1, D, H, W) float32; scans are not scaled yet."""
        return permuted(*self.made(size, pick(self._options.shapes, self._generator)), self._generator)

    @torch.no_grad()
    def made(self, size: int, shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
        """As `batch`, of this shape, with thick slices along D."""
        subject = self._pack.draw(size)
        in_mother = _in_mother(subject)
        place = _place(subject, shape, in_mother, self._options)
        image, target = _scan(subject, place, in_mother, self._options)
        image = _measured(image, in_mother, self._options)
        view = _field_of_view(place)
        return image * view, target * view


def permuted(
    image: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both with their three axes in one random order: (N, 1, D, H, W) -> the same with D, H, W permuted."""
    axes = (0, 1, *(int(axis) + 2 for axis in torch.randperm(3, generator=generator)))
    return image.permute(axes).contiguous(), target.permute(axes).contiguous()


def _in_mother(subject: dict[str, torch.Tensor]) -> torch.Tensor:
    """True (N,) where the scan shows a fetus in its mother: most of those that are none of the newborns."""
    newborn = subject["newborn"]
    return torch.rand(len(newborn), device=newborn.device) < torch.where(newborn, 0.08, 0.75)


def _place(subject: dict[str, torch.Tensor], shape: Shape, in_mother: torch.Tensor, options: HeadOptions) -> Place:
    """Put each brain somewhere in the field: any orientation and turn, stretched, warped, moved between slices."""
    batch, device = len(in_mother), in_mother.device
    field = positions(shape, SPACING, device)
    half = field.amax(dim=(2, 3, 4))
    spread = torch.where(in_mother.view(-1, 1), (half - 35).clamp_min(0), (half * 0.12).clamp_max(12))
    centre = uniform(batch, -1, 1, device, 3) * spread
    away = chance(batch, options.empty, device) & in_mother
    centre = torch.where(away.view(-1, 1), _FAR, centre)
    most = torch.where(in_mother | chance(batch, 0.3, device), 180.0, 35.0)
    turn = rotations(batch, most, device) @ orientations(batch, device)
    stretch = uniform(batch, 0.82, 1.18, device, 1) * uniform(batch, 0.92, 1.08, device, 3)
    at = torch.einsum("nij,njdhw->nidhw", turn / stretch.unsqueeze(2), field - per_item(centre))
    at = at + _motion(batch, shape[0], device) + _warp(batch, shape, device)
    distance = sampled(subject["distance"].unsqueeze(1).float(), at, _DISTANCE_SPACING, "bilinear", "border")
    return Place(field, centre, at, distance * _DISTANCE_UNIT, subject["extent"], subject["stem"])


def _motion(batch: int, slices: int, device: torch.device) -> torch.Tensor:
    """Shifts (N, 3, D, 1, 1) in mm of each slice in a third of the scans."""
    moves = chance(batch, 0.3, device).float() * uniform(batch, 0.0, 1.5, device)
    return torch.randn(batch, 3, slices, 1, 1, device=device) * per_item(moves)


def _warp(batch: int, shape: Shape, device: torch.device) -> torch.Tensor:
    wide = smooth_noise(batch, shape, 44, device, 3) * per_item(uniform(batch, 0.0, 3.5, device))
    return wide + smooth_noise(batch, shape, 18, device, 3) * per_item(uniform(batch, 0.0, 1.2, device))


def _scan(
    subject: dict[str, torch.Tensor], place: Place, in_mother: torch.Tensor, options: HeadOptions
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scan without its measurement, and its soft brain mask."""
    batch, device = place.batch, place.device
    soft = torch.stack([subject["mask"], subject["image"]], 1).float() / torch.tensor(255.0, device=device)
    mask, real = sampled(soft, place.child, _PACK_SPACING, "bilinear").split(1, dim=1)
    mask = blurred(mask, _TARGET_BLUR)  # a border between voxels shows as a ramp
    labels = sampled(subject["labels"].unsqueeze(1).float(), place.child, _PACK_SPACING, "nearest").long()
    target = _with_more_fluid(mask.clamp(0, 1), place)
    brain = target > 0.5
    labels = torch.where(brain & ((labels == Tissue.AIR) | (labels == Tissue.SURROUNDINGS)), int(Tissue.FLUID), labels)
    labels = torch.where(labels == 0, _outside(place, in_mother), labels)
    use_real = subject["has_image"] & chance(batch, options.real, device)
    like_t2 = use_real | chance(batch, options.like_t2, device)
    image = _drawn(labels, tables(batch, like_t2, device))
    support = (real > 0.012) & per_item(use_real)
    bright = per_item(uniform(batch, 0.8, 1.25, device))
    image = torch.where(support, bright * real.clamp_min(1e-4) ** per_item(uniform(batch, 0.75, 1.3, device)), image)
    bare = per_item(use_real & subject["newborn"] & chance(batch, 0.3, device))
    image = torch.where(bare & ~support & ~brain, 0.0, image)
    return _stripped(image, target, place, options)


def _with_more_fluid(mask: torch.Tensor, place: Place) -> torch.Tensor:
    """The soft mask, in a quarter of the scans with up to some mm of fluid more around the brain."""
    batch, device = place.batch, place.device
    depth = per_item(uniform(batch, 0.5, 5.0, device) * chance(batch, 0.25, device).float())
    depth = depth * (0.7 + 0.5 * smooth_noise(batch, place.shape, 28, device)).clamp(0, 2)
    wider = (0.5 + (depth - place.distance) / SPACING).clamp(0, 1)
    return torch.where(depth > 0.3, torch.maximum(mask, wider), mask)


def _outside(place: Place, in_mother: torch.Tensor) -> torch.Tensor:
    """Labels of all that is not brain (N, 1, D, H, W)."""
    head = head_labels(place, in_mother)
    around = torch.where(per_item(in_mother), mother_labels(place), int(Tissue.AIR))
    return torch.where(head == Tissue.AIR, around, head)


def _drawn(labels: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Brightness of labels (N, 1, D, H, W) by their tables (N, COUNT), with texture inside each tissue."""
    batch, shape, device = len(labels), triple(labels.shape[2:]), labels.device
    flat = labels.flatten(1)
    mean = table.gather(1, flat).view(labels.shape)
    deviation = textures(batch, device).gather(1, flat).view(labels.shape)
    noise = 0.7 * smooth_noise(batch, shape, 6, device) + 0.7 * smooth_noise(batch, shape, 16, device)
    return (mean * (1 + deviation * noise)).clamp_min(0)


def _stripped(
    image: torch.Tensor, target: torch.Tensor, place: Place, options: HeadOptions
) -> tuple[torch.Tensor, torch.Tensor]:
    """Air around the brain in some of the scans, tightly or loosely; the mask is what is left of the brain."""
    batch, device = place.batch, place.device
    loose = per_item(uniform(batch, -1.0, 7.0, device))
    loose = loose + per_item(uniform(batch, 0, 1.5, device)) * smooth_noise(batch, place.shape, 20, device)
    away = per_item(chance(batch, options.stripped, device)) & (place.distance > loose)
    # a tight mask keeps what the label maps call brain: half of the stripped scans end with it
    tight = per_item(chance(batch, options.stripped * 0.5, device)) & (target < 0.5)
    away = away | tight
    return torch.where(away, 0.0, image), torch.where(away, 0.0, target)


def _measured(image: torch.Tensor, in_mother: torch.Tensor, options: HeadOptions) -> torch.Tensor:
    """What a scanner makes of it: coil sensitivity, blur, slices of a thickness along D, noise."""
    batch, device, shape = len(image), image.device, triple(image.shape[2:])
    outside = image == 0
    strength = per_item(uniform(batch, 0.0, 0.35, device))
    ramp = per_item(torch.randn(batch, 3, device=device) * torch.where(in_mother, 0.5, 0.15).view(-1, 1))
    ramp = (ramp * positions(shape, 1.0, device) / max(shape) * 2).sum(1, keepdim=True)
    image = image * torch.exp(strength * smooth_noise(batch, shape, 80, device) + ramp)
    image = blurred(image, float(torch.rand(1)) * 0.5 + 0.2)
    thick = uniform(batch, -1.0, options.thickness, device) / SPACING
    take, back = slice_matrices(shape[0], thick, uniform(batch, 0.6, 1.1, device))
    image = along_first(take, image) * _slice_gain(batch, shape[0], device)
    level = per_item(uniform(batch, 0.0, options.noise, device) * uniform(batch, 0.0, 1.0, device))
    noisy = torch.sqrt((image + level * torch.randn_like(image)) ** 2 + (level * torch.randn_like(image)) ** 2)
    noiseless_air = per_item(chance(batch, 0.5, device)) & (image < 0.01)
    image = along_first(back, torch.where(noiseless_air, image, noisy))
    return torch.where(outside & per_item(chance(batch, 0.3, device)), 0.0, image)


def _slice_gain(batch: int, slices: int, device: torch.device) -> torch.Tensor:
    """Brightness (N, 1, D, 1, 1) of each slice: some scans vary, odd and even slices differ, some slices are lost."""
    shape = (batch, 1, slices, 1, 1)
    vary = per_item(uniform(batch, 0.0, 0.12, device) * chance(batch, 0.5, device).float())
    every_other = (torch.arange(slices, device=device) % 2).view(1, 1, -1, 1, 1)
    gain = 1 + vary * torch.randn(shape, device=device) + vary * every_other
    lost = per_item(chance(batch, 0.12, device)) & (torch.rand(shape, device=device) < 0.05)
    return torch.where(lost, 0.0, gain.clamp_min(0.2))


def _field_of_view(place: Place) -> torch.Tensor:
    """1 (N, 1, D, H, W) inside the field; in some scans faces are moved inwards, so that heads are cut."""
    batch, device = place.batch, place.device
    half = place.field.amax(dim=(2, 3, 4))
    view = torch.ones(batch, 1, *place.shape, device=device)
    for sign in (-1, 1):
        cut = chance(batch, 0.3, device).view(-1, 1) & (torch.rand(batch, 3, device=device) < 0.4)
        face = half * torch.where(cut, uniform(batch, 0.2, 1.0, device, 3), 1.1)
        view = view * (place.field * sign < per_item(face)).all(1, keepdim=True)
    return view
