"""Which tissues a synthetic scan holds, and how bright each is drawn."""

from __future__ import annotations

from enum import IntEnum

import torch

from .fields import chance, uniform


class Tissue(IntEnum):
    """Labels of a synthetic scan; 1 to 10 are those of the label maps. The last of a group starts several variants."""

    AIR = 0
    WHITE_MATTER = 1
    VENTRICLES = 2
    CEREBELLUM = 3
    FLUID = 4
    CORTEX = 5
    DEEP_GREY = 6
    BRAINSTEM = 7
    CALLOSUM = 8
    SURROUNDINGS = 9
    HIPPOCAMPUS = 10
    DURA = 19
    SKULL = 20
    SCALP = 21
    EYE = 22
    CORD = 24
    HEAD = 30  # 6 variants: muscle, fat, bone, vessels of face and neck
    MOTHER = 40  # 8 variants: placenta, uterus, bowel, muscle
    AMNION = 48
    FAT = 49
    CHILD = 50  # 6 variants: the child's trunk and limbs
    ORGAN = 56  # 8 variants: bladder, kidneys, vessels, bones, bowel


COUNT = 64
_BRAIN_RANGES = {  # of the fluid's brightness, on T2-weighted scans: newborn and fetus, in the mother or not
    Tissue.WHITE_MATTER: (0.40, 0.92),
    Tissue.VENTRICLES: (0.85, 1.1),
    Tissue.CEREBELLUM: (0.30, 0.75),
    Tissue.FLUID: (0.80, 1.1),
    Tissue.CORTEX: (0.28, 0.68),
    Tissue.DEEP_GREY: (0.28, 0.70),
    Tissue.BRAINSTEM: (0.28, 0.68),
    Tissue.CALLOSUM: (0.30, 0.75),
    Tissue.SURROUNDINGS: (0.04, 0.45),
    Tissue.HIPPOCAMPUS: (0.28, 0.70),
}
_OTHER_RANGES = {
    Tissue.DURA: (0.03, 0.30),
    Tissue.SKULL: (0.02, 0.35),
    Tissue.SCALP: (0.15, 1.0),
    Tissue.EYE: (0.7, 1.2),
    Tissue.CORD: (0.25, 0.6),
    Tissue.AMNION: (0.75, 1.25),
    Tissue.FAT: (0.35, 1.3),
}
_VARIANTS = {
    Tissue.HEAD: (6, (0.03, 0.8)),
    Tissue.MOTHER: (8, (0.08, 0.7)),
    Tissue.CHILD: (6, (0.08, 0.8)),
    Tissue.ORGAN: (8, (0.02, 1.2)),
}


def t2_table(batch: int, device: torch.device) -> torch.Tensor:
    """Brightness (N, COUNT) of each tissue as on T2-weighted scans; 1 is about that of fluid."""
    low, high = torch.zeros(COUNT), torch.full((COUNT,), 0.03)
    for tissue, (a, b) in (_BRAIN_RANGES | _OTHER_RANGES).items():
        low[tissue], high[tissue] = a, b
    for tissue, (variants, (a, b)) in _VARIANTS.items():
        low[tissue : tissue + variants], high[tissue : tissue + variants] = a, b
    low, high = low.to(device), high.to(device)
    table = low + (high - low) * torch.rand(batch, COUNT, device=device)
    # greys go together: one contrast between white and grey for most of the brain
    grey = uniform(batch, 0.30, 0.66, device, 1)
    greys = [Tissue.CEREBELLUM, Tissue.CORTEX, Tissue.DEEP_GREY, Tissue.BRAINSTEM, Tissue.HIPPOCAMPUS]
    table[:, greys] = grey * uniform(batch, 0.85, 1.15, device, len(greys))
    white = grey * uniform(batch, 0.95, 1.6, device, 1)
    table[:, [Tissue.WHITE_MATTER]] = white.clamp_max(0.95)
    table[:, [Tissue.CALLOSUM]] = white * uniform(batch, 0.7, 1.0, device, 1)
    return table


def any_table(batch: int, device: torch.device) -> torch.Tensor:
    """Brightness (N, COUNT) of any contrast: each tissue at random; air is dark in nine of ten scans."""
    table = torch.rand(batch, COUNT, device=device)
    dark = chance(batch, 0.9, device).float()
    table[:, Tissue.AIR] *= 1 - 0.97 * dark
    # the two fluids of the head are one
    table[:, Tissue.VENTRICLES] = table[:, Tissue.FLUID] * uniform(batch, 0.9, 1.1, device)
    return table


def tables(batch: int, like_t2: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Brightness (N, COUNT): T2-weighted where `like_t2` (N,) says so, else of any contrast."""
    return torch.where(like_t2.view(-1, 1), t2_table(batch, device), any_table(batch, device))


def textures(batch: int, device: torch.device) -> torch.Tensor:
    """Deviation (N, COUNT) of the brightness inside each tissue, relative to its mean."""
    deviation = uniform(batch, 0.0, 0.10, device, COUNT)
    deviation[:, Tissue.SURROUNDINGS : Tissue.SCALP + 1] *= 3
    deviation[:, Tissue.HEAD :] *= 2.5
    deviation[:, Tissue.AMNION] *= 0.4
    return deviation
