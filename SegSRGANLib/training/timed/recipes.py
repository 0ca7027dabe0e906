"""What the released models are trained with when there is a GPU for minutes, not days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLASSES: dict[str, tuple[int, ...]] = {
    "cortex": (5,),
    "white matter": (1, 8),
    "ventricles": (2,),
    "outer CSF": (4,),
    "deep grey matter": (6, 10),
    "cerebellum": (3,),
    "brainstem": (7,),
}


@dataclass(frozen=True)
class Stage:
    """A stretch of a training: until `end` of its time, patches of `patch` voxels, `batch` at once.

    mixed: bfloat16 convolutions. adversarial: weight of the critic's loss (the paper's lambda), 0 for no critic.
    """

    end: float
    patch: int
    batch: int
    mixed: bool = True
    adversarial: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """One training.

    architecture, options: of the network. classes: how many of `CLASSES` it segments. stages: in order.
    rate, betas: of Adam; the rate rises over `warmup` steps and falls with the clock to `floor` of it. clip: largest
    norm of the gradient. average: decay of the averaged weights, which are the result. nu: of the Charbonnier distance.
    intensity_weight, segmentation_weight: of the losses. output_rate: factor on what a step does to the filter of the
    intensity, see `optimization.OptimizerConfig`. critic_rate, critic_steps: of the critic.
    consistent_input: see `models.card.ModelCard`. simulation: what differs from `DeviceSimulation`'s defaults.
    """

    architecture: str
    options: Mapping[str, Any]
    classes: int
    stages: tuple[Stage, ...]
    rate: float = 8e-4
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 150
    floor: float = 0.01
    clip: float = 2.0
    average: float = 0.999
    intensity_weight: float = 8.0
    segmentation_weight: float = 1.0
    nu: float = 0.01
    output_rate: float = 1.0
    critic_rate: float = 2e-4
    critic_steps: int = 5
    consistent_input: bool = True
    simulation: Mapping[str, Any] = field(default_factory=dict)


RECIPES = {
    "segsrgan": Recipe(
        "cascade",
        {"filters": 48, "blocks": 8, "levels": 4, "classes": 7, "segmentation_filters": 32},
        7,
        (Stage(0.55, 64, 24), Stage(0.93, 96, 8), Stage(1.0, 96, 8, mixed=False)),
    ),
    # content losses first, then the paper's critic (Pham et al., 2019, Section 2.2): lambda 0.001, five critic steps
    "segsrgan-paper": Recipe(
        "generator",
        {"filters": 16, "blocks": 5, "classes": 1},
        1,
        (Stage(0.55, 64, 16), Stage(1.0, 64, 16, adversarial=1e-3)),
        output_rate=0.006,
        intensity_weight=1.0,
        segmentation_weight=0.25,
        consistent_input=False,
    ),
    # minutes on a CPU: shows that all of it works
    "trial": Recipe(
        "cascade",
        {"filters": 4, "blocks": 1, "levels": 2, "classes": 7},
        7,
        (Stage(0.5, 16, 2), Stage(1.0, 24, 1, mixed=False)),
        warmup=2,
        simulation={"factor": (1.5, 2.4), "usual_factor": (1.5, 2.4), "slice_draws": 8, "inplane_draws": 8},
    ),
    "srrecnn": Recipe(
        "srrecnn", {"layers": 20, "filters": 64}, 0, (Stage(1.0, 48, 8),), rate=3e-4, nu=0.02, consistent_input=False
    ),
}
