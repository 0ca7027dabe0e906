"""What lies around a brain: a newborn's head, or a child in its mother; labels for a whole batch at once.

Positions are millimetres from the brain's centre, x to the left, y to the back, z to the top of the child's head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...utils.triples import triple
from .fields import Shape, chance, per_item, smooth_noise, uniform
from .tissues import Tissue

_ORGANS = 9  # ellipsoids in one mother


@dataclass(frozen=True)
class Place:
    """Where each voxel lies, tensors of the batch.

    field: (1, 3, D, H, W) mm in the field of view. centre: (N, 3), the brain's centre there. child: (N, 3, D, H, W) mm
    from the brain's centre, in the atlas. distance: (N, 1, D, H, W) mm to the brain's surface, negative inside.
    extent: (N, 3), half of the brain's box in mm. stem: (N, 3), the lower end of the brainstem in mm.
    """

    field: torch.Tensor
    centre: torch.Tensor
    child: torch.Tensor
    distance: torch.Tensor
    extent: torch.Tensor
    stem: torch.Tensor

    @property
    def batch(self) -> int:
        """Number of scans."""
        return self.child.shape[0]

    @property
    def shape(self) -> Shape:
        """Voxels (D, H, W)."""
        return triple(self.child.shape[2:])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.child.device


def variants(place: Place, first: Tissue, count: int, knots: float) -> torch.Tensor:
    """Patches of several variants of a tissue (N, 1, D, H, W), int64, each some voxels wide."""
    steps = []
    for _ in range(2):
        noise = smooth_noise(place.batch, place.shape, knots, place.device)
        noise = noise + 0.5 * smooth_noise(place.batch, place.shape, knots / 3, place.device)
        steps.append(((torch.erf(noise / 2) * 0.5 + 0.5) * 3).long().clamp(0, 2))
    # two fields: patches meet at corners, as organs do, instead of lying in one another
    return int(first) + (steps[0] * 3 + steps[1]) % count


def ellipsoid(at: torch.Tensor, centre: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """Squared distance (N, 1, D, H, W) from centres (N, 3) of positions (N, 3, D, H, W), in radii (N, 3)."""
    return (((at - per_item(centre)) / per_item(radii)) ** 2).sum(1, keepdim=True)


def head_labels(place: Place, thin: torch.Tensor) -> torch.Tensor:
    """Labels of a head around each brain (N, 1, D, H, W), int64; 0 outside.

    thin: True (N,) for a fetus, whose skull and scalp are thinner.
    """
    labels = _face_and_neck(place)
    thickness = 1 - 0.5 * per_item(thin.float())
    bounds = [_thickness(place, 0.0, 2.0)]
    for low, high in ((0.8, 4.5), (1.5, 9.0)):
        bounds.append(bounds[-1] + _thickness(place, low, high) * thickness)
    for bound, tissue in zip(reversed(bounds), (Tissue.SCALP, Tissue.SKULL, Tissue.DURA), strict=True):
        labels = torch.where(place.distance < bound, int(tissue), labels)
    return _with_canal(place, _with_eyes(place, labels))


def _thickness(place: Place, low: float, high: float) -> torch.Tensor:
    """A layer's thickness in mm (N, 1, D, H, W): each head has its own, and it varies smoothly by a quarter of it."""
    own = per_item(uniform(place.batch, low, high, place.device))
    return own * (1 + 0.25 * smooth_noise(place.batch, place.shape, 24, place.device)).clamp(0.3, 2)


def _face_and_neck(place: Place) -> torch.Tensor:
    batch, device, e = place.batch, place.device, place.extent
    jitter = uniform(batch, 0.8, 1.2, device, 9)
    face_centre = e * torch.tensor([0.0, -0.55, -1.05], device=device) * jitter[:, :3]
    face = ellipsoid(place.child, face_centre, e * torch.tensor([0.8, 0.55, 0.85], device=device) * jitter[:, 3:6]) < 1
    flat = per_item(e[:, :2] * 0.62 * jitter[:, 6:8])
    lean = per_item(uniform(batch, -0.5, 0.6, device)) * (-place.child[:, 2:]).clamp_min(0)
    back = place.child[:, 1:2] - per_item(0.25 * e[:, 1]) - lean
    low = place.child[:, 2:] < -0.5 * per_item(e[:, 2])
    neck = ((place.child[:, :1] / flat[:, :1]) ** 2 + (back / flat[:, 1:2]) ** 2 < 1) & low
    return torch.where(face | neck, variants(place, Tissue.HEAD, 6, 14), int(Tissue.AIR))


def _with_eyes(place: Place, labels: torch.Tensor) -> torch.Tensor:
    batch, device = place.batch, place.device
    radius = per_item(place.extent[:, 0] * uniform(batch, 0.17, 0.25, device))
    level = uniform(batch, -0.6, -0.3, device)
    front = uniform(batch, -0.95, -0.75, device)
    for side in (-0.5, 0.5):
        centre = place.extent * torch.stack([torch.full_like(level, side), front, level], 1)
        inside = ((place.child - per_item(centre)) ** 2).sum(1, keepdim=True) < radius**2
        labels = torch.where(inside & (place.distance > 1), int(Tissue.EYE), labels)
    return labels


def _with_canal(place: Place, labels: torch.Tensor) -> torch.Tensor:
    """The spinal canal with its cord, from the lower end of the brainstem down."""
    batch, device = place.batch, place.device
    lean = per_item(uniform(batch, 0.0, 0.5, device))
    below = per_item(place.stem[:, 2]) + 3 - place.child[:, 2:]
    across = place.child[:, :1] - per_item(place.stem[:, 0])
    back = place.child[:, 1:2] - per_item(place.stem[:, 1]) - lean * below
    radius = torch.sqrt(across**2 + back**2)
    size = per_item(place.extent[:, 0])
    for share, tissue in ((0.22, Tissue.SKULL), (0.14, Tissue.FLUID), (0.075, Tissue.CORD)):
        inside = (radius < size * share) & (below > 0) & (below < 3 * size)
        labels = torch.where(inside, int(tissue), labels)
    return labels


def mother_labels(place: Place) -> torch.Tensor:
    """Labels of a mother around the child (N, 1, D, H, W), int64: organs, placenta, fluid, fat, the child's trunk."""
    batch, device = place.batch, place.device
    labels = variants(place, Tissue.MOTHER, 8, 24)
    for _ in range(_ORGANS):
        labels = _with_organ(place, labels)
    pool = 8 + 12 * smooth_noise(batch, place.shape, 28, device) + per_item(uniform(batch, -15, 15, device))
    wall = torch.randint(int(Tissue.MOTHER), int(Tissue.MOTHER) + 8, (batch, 1, 1, 1, 1), device=device)
    thickness = per_item(uniform(batch, 2, 14, device)) * (1 + smooth_noise(batch, place.shape, 24, device)).clamp_min(
        0
    )
    labels = torch.where(place.distance < pool + thickness, wall, labels)
    labels = torch.where(place.distance < pool, int(Tissue.AMNION), labels)
    labels = _with_trunk(place, labels)
    return _within_outline(place, labels)


def _with_organ(place: Place, labels: torch.Tensor) -> torch.Tensor:
    """One ellipsoid anywhere, in half of the cases with a wall of another kind, like a head or a bowel loop."""
    batch, device = place.batch, place.device
    half = place.field.amax(dim=(2, 3, 4))
    centre = uniform(batch, -1, 1, device, 3) * half
    radii = uniform(batch, 4, 50, device, 1) * uniform(batch, 0.6, 1.4, device, 3)
    wobble = 1 + 0.25 * smooth_noise(batch, place.shape, 20, device)
    squared = ellipsoid(place.field, centre, radii) * wobble
    organ = torch.randint(int(Tissue.ORGAN), int(Tissue.ORGAN) + 8, (2, batch, 1, 1, 1, 1), device=device)
    labels = torch.where(squared < 1, organ[0], labels)
    wall = per_item(uniform(batch, 0.6, 0.9, device) + chance(batch, 0.5, device).float())
    return torch.where((squared < 1) & (squared > wall), organ[1], labels)


def _with_trunk(place: Place, labels: torch.Tensor) -> torch.Tensor:
    """The child's trunk below its head, in fluid, with its own organs, and two limbs anywhere near."""
    batch, device, e = place.batch, place.device, place.extent
    e = e.mean(1, keepdim=True)
    centre = torch.cat([uniform(batch, -0.5, 0.5, device, 1), uniform(batch, -0.9, 0.6, device, 1)], 1)
    centre = e * torch.cat([centre, uniform(batch, -2.9, -2.2, device, 1)], 1)
    radii = e * uniform(batch, 0.75, 1.2, device, 3) * torch.tensor([0.85, 0.75, 1.5], device=device)
    squared = ellipsoid(place.child, centre, radii)
    labels = torch.where(squared < 1.4, int(Tissue.AMNION), labels)
    child = variants(place, Tissue.CHILD, 6, 16)
    inside = squared < 1
    for _ in range(2):
        limb = e * uniform(batch, -1.6, 1.6, device, 3)
        inside = inside | (ellipsoid(place.child, limb, e * uniform(batch, 0.12, 0.5, device, 3)) < 1)
    return torch.where(inside, child, labels)


def _within_outline(place: Place, labels: torch.Tensor) -> torch.Tensor:
    """Fat under the mother's skin and air around her, where her outline runs through the field."""
    batch, device = place.batch, place.device
    radii = uniform(batch, 110, 260, device, 3)
    away = F.normalize(torch.randn(batch, 3, device=device), dim=1) * uniform(batch, 0, 1, device, 1) ** 0.5
    centre = place.centre.clamp(-100, 100) + away * (radii - 65)  # the child lies inside
    radius = torch.sqrt(ellipsoid(place.field, centre, radii)) * per_item(radii.amin(1))
    inward = per_item(radii.amin(1)) - radius
    inward = inward + 4 * smooth_noise(batch, place.shape, 40, device)
    outside_child = place.distance > 8
    labels = torch.where((inward < per_item(uniform(batch, 5, 40, device))) & outside_child, int(Tissue.FAT), labels)
    return torch.where((inward < 0) & outside_child, int(Tissue.AIR), labels)
