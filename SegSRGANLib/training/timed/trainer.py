"""The step of a timed training: everything stays on the device, and nothing waits for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ...networks.factory import ARCHITECTURES
from ...networks.image_network import ImageNetwork
from ...networks.segsrgan import Discriminator
from ..data.device_config import DeviceSimulation
from ..data.device_simulation import DeviceSimulator, PatchBatch
from ..data.device_volumes import DeviceVolume
from ..losses import gradient_penalty
from ..optimization import (
    ExponentialMovingAverage,
    OptimizerConfig,
    learning_rate,
    set_rate,
    slower_output,
    start_as_interpolation,
)
from .losses import weighted_content_loss
from .recipes import Recipe, Stage

_PENALTY = 10.0  # lambda_gp (Gulrajani et al., 2017)
_FACTOR = 3.0  # slices over voxels, of the held-out patches
_COUNTED = 0.9  # weight from which a held-out voxel lies in the brain
# held-out patches are shown as they are
_AS_THEY_ARE: dict[str, Any] = {
    **dict.fromkeys(("synthetic", "permuted", "deformed", "blurred", "stripped", "surrounded"), 0.0),
    **dict.fromkeys(("bias", "tissue_shift", "noise", "stretched"), 0.0),
    **dict.fromkeys(("zoom", "usual_zoom", "gamma", "scale", "ratio", "inplane_factor"), (1.0, 1.0)),
    **dict.fromkeys(("factor", "usual_factor"), (_FACTOR, _FACTOR)),
    "masked": 1.0,
    "slice_draws": 1,
    "inplane_draws": 1,
}


class TimedTraining:
    """A network, its optimizer and averaged weights, a critic, and the volumes that they learn from."""

    def __init__(
        self,
        recipe: Recipe,
        volumes: tuple[list[DeviceVolume], list[DeviceVolume]],
        device: torch.device,
        seed: int = 0,
    ) -> None:
        """Make an untrained network that starts as interpolation.

        Args:
            recipe: what to train. volumes: those to learn from, and those held out. device: of everything.
            seed: of weights and patches.
        """
        torch.manual_seed(seed)
        self.recipe, self.device, self._seed, self._volumes, self.step = recipe, device, seed, volumes, 0
        config, network = ARCHITECTURES[recipe.architecture]
        self.network = network(config(**recipe.options)).to(device, memory_format=torch.channels_last_3d)
        start_as_interpolation(self.network)
        self._average = ExponentialMovingAverage(self.network, recipe.average)
        self._schedule = OptimizerConfig(rate=recipe.rate, warmup=recipe.warmup, floor=recipe.floor)
        self.critic = Discriminator().to(device)
        fused = device.type == "cuda"
        self.optimizer = torch.optim.Adam(self.network.parameters(), recipe.rate, recipe.betas, fused=fused)
        self.critic_optimizer = torch.optim.Adam(
            self.critic.parameters(), recipe.critic_rate, (0.5, 0.999), fused=fused
        )

    @property
    def average(self) -> ImageNetwork:
        """The network with the averaged weights, which are the result."""
        return self._average.network

    def simulator(self, stage: Stage) -> DeviceSimulator:
        """Patches to learn from in a stage."""
        config = DeviceSimulation(patch=stage.patch, consistent=self.recipe.consistent_input, **self.recipe.simulation)
        return DeviceSimulator(self._volumes[0], config, self._seed + stage.patch, self.device)

    def held_out_patches(self, batches: int, count: int) -> list[PatchBatch]:
        """Fixed patches of the held-out volumes with slices of three voxels, cut by their brain masks."""
        if not self._volumes[1]:
            return []
        patch = self.recipe.stages[-1].patch
        config = DeviceSimulation(patch=patch, consistent=self.recipe.consistent_input, **_AS_THEY_ARE)
        simulator = DeviceSimulator(self._volumes[1], config, self._seed, self.device)
        return [simulator.batch(count) for _ in range(batches)]

    def update(self, simulator: DeviceSimulator, stage: Stage, done: float) -> torch.Tensor:
        """One step.

        Args:
            simulator: of the stage's patches. stage: the current one. done: share of the training, in [0, 1].

        Returns:
            The loss, a tensor on the device: reading it waits for the device.
        """
        set_rate(self.optimizer, learning_rate(self._schedule, self.step, min(1.0, done)))
        if stage.adversarial:
            for _ in range(self.recipe.critic_steps):
                self._train_critic(simulator, stage)
        batch = simulator.batch(stage.batch)
        prediction = self._predicted(batch, stage)
        loss = weighted_content_loss(prediction, batch, self.recipe)
        if stage.adversarial:
            self.critic.requires_grad_(False)
            loss = loss - stage.adversarial * self.critic(_pair(prediction, batch)).mean()
            self.critic.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with slower_output(self.network, (self.recipe.output_rate, 1.0)):
            self._guarded_step(self.network, self.optimizer)
        self._average.update(self.network, self.step)
        self.step += 1
        return loss.detach()

    def _predicted(self, batch: PatchBatch, stage: Stage) -> torch.Tensor:
        given = batch.given.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=stage.mixed):
            return self.network(given).float()

    def _train_critic(self, simulator: DeviceSimulator, stage: Stage) -> None:
        batch = simulator.batch(stage.batch)
        with torch.no_grad():
            fake = _pair(self._predicted(batch, stage), batch)
        real = _pair(batch.target, batch)
        mix = torch.rand(len(real), 1, 1, 1, 1, device=self.device)
        separation = self.critic(real).mean() - self.critic(fake).mean()
        loss = _PENALTY * gradient_penalty(self.critic, real, fake, mix) - separation
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._guarded_step(self.critic, self.critic_optimizer)

    def _guarded_step(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Clip, and leave out a step whose gradient is not finite; a GPU is not asked whether it is."""
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), self.recipe.clip)
        if self.device.type == "cuda":  # the fused optimizer skips the step itself
            optimizer.found_inf = (~torch.isfinite(norm)).float()  # ty: ignore[missing-attribute]
            optimizer.grad_scale = None  # ty: ignore[missing-attribute]
            optimizer.step()
        elif math.isfinite(norm.item()):
            optimizer.step()

    @torch.no_grad()
    def judge(self, batches: list[PatchBatch]) -> dict[str, Any]:
        """Gain over the input in dB in the brain, and Dice of each class, of the averaged weights."""
        if not batches:
            return {}
        own = given = 0.0
        overlap, total = torch.zeros(1, device=self.device), torch.zeros(1, device=self.device)
        for batch in batches:
            prediction, truth = self.average(batch.given), batch.target
            brain = (batch.weight[:, :1] > _COUNTED).float()
            own += float(((prediction[:, :1] - truth[:, :1]).square() * brain).sum())
            given += float(((batch.given - truth[:, :1]).square() * brain).sum())
            found = (prediction[:, 1:] > 0.5).float()
            wanted = (truth[:, 1 : prediction.shape[1]] > 0.5).float()
            overlap = overlap + (found * wanted).sum((0, 2, 3, 4))
            total = total + (found + wanted).sum((0, 2, 3, 4))
        dice = [round(float(d), 4) for d in 2 * overlap / total.clamp(min=1)]
        return {"gain_db": round(10 * math.log10(given / max(own, 1e-12)), 3), "dice": dice}


def _pair(volumes: torch.Tensor, batch: PatchBatch) -> torch.Tensor:
    """What the critic sees, (N, 2, D, H, W): intensity and cortex, where the network was shown anything."""
    return volumes[:, :2] * (batch.weight[:, 1:] > 0)
