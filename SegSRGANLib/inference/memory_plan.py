"""How one volume is predicted - patch, batch, device - and what to try next when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from ..networks.image_network import ImageNetwork
from ..utils.memory import available_memory

_SMALLEST = 32  # voxels: smaller patches see too little
_FIRST_PATCH = 128  # what a whole volume that does not fit is cut into
_MOST_AT_ONCE = 16
_SPARE = 0.8  # share of the available memory that a plan may take
_UNKNOWN_MAPS = 208  # of a network that does not say
_STREAMED = 0.2  # share of the maps that `slab_forward` holds for the whole volume
_SLABS = 600 << 20  # bytes of the slabs of `slab_forward`, with what the allocator loses between them
_CASCADE_SLABS = 450 << 20  # bytes of the slabs of `cascade_forward`


@dataclass(frozen=True)
class Plan:
    """One way to predict a volume.

    patch: side in voxels; 0 is the whole volume at once. batch: patches at once. device: of the network.
    accumulate: device of the volume and of the recomposed result.
    """

    patch: int
    batch: int
    device: torch.device
    accumulate: torch.device

    def __str__(self) -> str:
        patches = f"patches of {self.patch}, {self.batch} at once" if self.patch else "the whole volume at once"
        return f"{patches}, on {self.device.type}, result on {self.accumulate.type}"


def first_plan(network: ImageNetwork, shape: tuple[int, ...], patch: int, batch: int | None) -> Plan:
    """The fastest plan that should fit into the memory that is available now.

    Args:
        network: on its device.
        shape: (z, y, x) of the volume.
        patch: as asked for; 0 for the whole volume.
        batch: as asked for; None chooses.
    """
    device = next(network.parameters()).device
    plan = Plan(patch, batch or (1 if device.type == "cpu" or not patch else _MOST_AT_ONCE), device, device)
    for candidate in (plan, *later_plans(plan, network)):
        free = {place: _SPARE * available_memory(place) for place in {candidate.device, candidate.accumulate}}
        if all(bytes_ <= free[place] for place, bytes_ in peak_bytes(candidate, network, shape).items()):
            return candidate
    return plan  # nothing seems to fit: try anyway, and let the ladder go down


def later_plans(plan: Plan, network: ImageNetwork) -> Iterator[Plan]:
    """What to try when a plan runs out of memory: smaller batch, result on the CPU, smaller patch, CPU."""
    cpu = torch.device("cpu")
    while plan.batch > 1:
        plan = replace(plan, batch=plan.batch // 2)
        yield plan
    if plan.accumulate != cpu:
        plan = replace(plan, accumulate=cpu)
        yield plan
    largest = plan.patch
    for patch in _smaller(plan.patch, network):
        plan = replace(plan, patch=patch)
        yield plan
    if plan.device != cpu:
        plan = Plan(largest, 1, cpu, cpu)
        yield plan
        for patch in _smaller(largest, network):
            yield replace(plan, patch=patch)


def _smaller(patch: int, network: Any) -> Iterator[int]:
    patch = patch // 2 if patch else _FIRST_PATCH
    while patch >= max(_SMALLEST, network.minimum):
        yield -(-patch // network.multiple) * network.multiple
        patch //= 2


def peak_bytes(plan: Plan, network: ImageNetwork, shape: tuple[int, ...]) -> dict[torch.device, int]:
    """The most memory that a plan takes on each of its devices, predicted.

    A network's `working_maps` are the maps of the patch's size that one patch takes, measured with `predict_volume`
    on several large patches, between which the kept heap fragments. Its `volume_maps`, if any, are those of the whole
    volume that it takes before, see `cascade_forward`.
    """
    channels = 1 + max(3, 1 + getattr(network, "classes", 1))  # the volume, and the result with or without a brain mask
    held = 4 * (channels + 1) * prod(shape)
    maps = getattr(network, "working_maps", _UNKNOWN_MAPS)
    if getattr(network, "patchless", False):
        working = 0
    elif plan.patch:
        working = int(4 * maps * plan.batch * prod(min(plan.patch, n) for n in shape))
    elif plan.device.type == "cpu" and getattr(network, "streams", False):
        working = int(4 * _STREAMED * maps * prod(shape)) + _SLABS
    else:
        working = int(4 * maps * prod(shape))
    if volume_maps := getattr(network, "volume_maps", 0):
        working = max(working, int(4 * volume_maps * prod(shape)) + _CASCADE_SLABS)
    peak = {plan.device: working}
    peak[plan.accumulate] = peak.get(plan.accumulate, 0) + held
    return peak
