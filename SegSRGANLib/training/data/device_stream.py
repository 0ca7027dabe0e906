"""The stream of training batches, simulated on the device: what `dataloader` does on the CPU, for a GPU.

Batch number k is drawn with the seed (seed, rank, k) alone, so a run that was stopped goes on as if it had not been.
What varies is what a `SimulationConfig` says; tissues that are no class to segment take part in the simulation alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .augmentation import AugmentationConfig
from .device_config import DeviceSimulation
from .device_simulation import DeviceSimulator
from .device_volumes import DeviceVolume, to_device
from .patch_simulation import SimulationConfig
from .subject import Subject
from .volume_pack import PackedVolume

_STRETCH = 0.08  # log-difference of zooms that `DeviceSimulation.stretched` = 1 stands for
_SAME = 1.05  # spacings of volumes that count as one when a slice thickness in mm is asked for
_MOST_MEMORY = 0.4  # of what is free on a GPU, for the volumes
_FINE_VOXELS = 8  # of a volume on the device, for one of its own
_BYTES = 4
_LEAST_BLUR = 0.2  # voxels, the smallest width that is drawn

# what `segsrgan train` does not do: sharpen averages, count their borders less, keep an order of brightness
_AS_IT_IS: dict[str, Any] = {
    **{"sharpened": 0.0, "border_weight": 1.0, "average_weight": 1.0},
    **dict.fromkeys(("bright", "middle", "dark"), ()),
}

Thickness = tuple[float, float] | None


def objections(
    subjects: Sequence[Subject], config: SimulationConfig, thickness: Thickness, free_bytes: int | None
) -> list[str]:
    """What speaks against simulating on the device, as parts of a sentence; none when nothing does.

    Args:
        subjects: the volumes. config: what varies. thickness: of the slices in mm, or None.
        free_bytes: memory of the device, None where it does not matter.
    """
    found = []
    if config.mask_overlap > 0:
        found.append("simulation.mask_overlap is chosen patch by patch")
    spacings = [subject.spacing for subject in subjects]
    if thickness is not None and max(spacings) > _SAME * min(spacings):
        found.append("slice_thickness is in mm and the volumes differ in spacing")
    needed = sum(s.labels.size * _BYTES * (_FINE_VOXELS + _share_count(subjects, config)) for s in subjects)
    if free_bytes is not None and needed > _MOST_MEMORY * free_bytes:
        found.append(f"the volumes would take {needed / 1e9:.1f} GB of the {free_bytes / 1e9:.1f} GB that are free")
    return found


def device_batches(
    subjects: Sequence[Subject],
    config: SimulationConfig,
    thickness: Thickness,
    seed: tuple[int, int],
    numbers: tuple[int, int],
    device: torch.device,
) -> Iterator[list[torch.Tensor]]:
    """Batches as `dataloader.batches` gives them, input (N, 1, p, p, p) and target, see `simulate_patch`.

    Args:
        subjects: the volumes to learn from. config: what varies. thickness: of the slices, from and to, mm, or None.
        seed: of the run, and the number of this process. numbers: of the first batch, and patches of each.
        device: where all of it lives.
    """
    classes = len(subjects[0].wanted)
    rest = _other_tissues(subjects, config)
    volumes = [_placed(subject, rest, config, device) for subject in subjects]
    setting = device_simulation(subjects, config, thickness)
    simulator = DeviceSimulator(volumes, setting, seed[0], device)
    number, count = numbers
    while True:
        simulator.restart(*seed, number)
        batch = simulator.batch(count)
        shown = (batch.weight[:, 1:] > 0).float()
        target = [batch.target[:, :1] * shown, batch.target[:, 1 : 1 + classes]]
        if subjects[0].mask is not None:
            target += subjects[0].mask.shares(batch.target[:, 1:].sum(dim=1, keepdim=True).clamp_(0, 1))
        yield [batch.given, torch.cat(target, dim=1)]
        number += 1


def device_simulation(
    subjects: Sequence[Subject], config: SimulationConfig, thickness: Thickness = None
) -> DeviceSimulation:
    """What varies, in the terms of the device; any tissue may have any brightness in a synthetic contrast."""
    factor, usual = config.factor, config.usual_factor
    if thickness is not None:
        spacing = float(np.mean([subject.spacing for subject in subjects]))
        factor, usual = (max(1.0, thickness[0] / spacing), max(1.0, thickness[1] / spacing)), None
    return DeviceSimulation(
        patch=config.patch,
        factor=factor,
        usual_factor=usual or factor,
        inplane_factor=config.inplane_factor,
        ratio=config.thickness_ratio,
        noise=config.noise,
        zoom=config.zoom,
        usual_zoom=config.usual_zoom or config.zoom,
        stretched=config.anisotropic_zoom / _STRETCH,
        consistent=bool(config.consistent_input),
        scan_axes=(1 / 3, 1 / 3, 1 / 3),
        fluid=_fluid(subjects, config),
        **_AS_IT_IS,
        **_augmented(config.augmentation),
    )


def _augmented(config: AugmentationConfig) -> dict[str, Any]:
    same = ("synthetic", "rotation", "elastic", "hard_edge", "gamma", "scale", "bias", "tissue_shift")
    return {name: getattr(config, name) for name in same} | {
        "permuted": config.orientations,
        "deformed": config.deformation,
        "blur": max(config.blur, _LEAST_BLUR),
        "blurred": 0.5 if config.blur > 0 else 0.0,
        "stripped": config.stripping,
        "masked": config.masked * (1 - config.stripping),
        "surrounded": config.background,
    }


def _other_tissues(subjects: Sequence[Subject], config: SimulationConfig) -> list[int]:
    """Numbers of the brain's tissues that are no class to segment, of all volumes."""
    found: set[int] = set()
    for subject in subjects:
        own = {int(number) for number in np.unique(subject.labels)}
        found |= own - {0, *config.augmentation.surroundings, *_wanted(subject)}
    return sorted(found)


def _wanted(subject: Subject) -> set[int]:
    return {number for numbers in subject.wanted.values() for number in numbers}


def _share_count(subjects: Sequence[Subject], config: SimulationConfig) -> int:
    return len(subjects[0].wanted) + len(_other_tissues(subjects, config)) + 1


def _fluid(subjects: Sequence[Subject], config: SimulationConfig) -> tuple[int, ...]:
    """Indices of the shares that are fluid around the brain."""
    fluid, found = set(config.augmentation.fluid), []
    classes = [*subjects[0].wanted.values(), *((number,) for number in _other_tissues(subjects, config))]
    for index, numbers in enumerate(classes):
        if set(numbers) & fluid:
            found.append(index)
    return tuple(found)


def _placed(subject: Subject, rest: Sequence[int], config: SimulationConfig, device: torch.device) -> DeviceVolume:
    """A volume on the device. Patches lie around a class to segment as often as `label_share` says, else anywhere."""
    wanted = _wanted(subject)
    classes = [*subject.wanted.values(), *(() if number in wanted else (number,) for number in rest)]
    packed = PackedVolume(subject.name, subject.intensity, subject.labels, subject.spacing, subject.weight)
    volume = to_device(packed, classes, device)
    shape = subject.labels.shape
    pools = [np.stack(np.unravel_index(v, shape), -1) for v in (*subject.class_voxels, subject.brain_voxels)]
    around = len(subject.class_voxels)
    chances = np.array([*[config.label_share / around] * around, 1 - config.label_share])
    return replace(volume, centres=pools, chances=chances)
