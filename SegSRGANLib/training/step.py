"""One training step, on whatever Lightning Fabric runs it on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..networks.image_network import ImageNetwork
from ..networks.segsrgan import Discriminator, DiscriminatorConfig
from ..utils.devices import choose_device
from ..utils.errors import TrainingError
from ..utils.optional import require
from .config import TrainingConfig
from .losses import CriticObjective, adversarial_loss, content_loss, segmentation_loss
from .optimization import ExponentialMovingAverage, learning_rate, make_adam, output_rates, set_rate, slower_output
from .state import Parts


@dataclass(frozen=True)
class StepLosses:
    """Losses of one step: the generator's, and the mean of the critic's steps (0 without a critic)."""

    generator: float
    critic: float


class _Forward(nn.Module):
    """The network in mixed precision, which can be switched off.

    Lightning Fabric's own mixed precision rounds the input to bfloat16 too, and with it the intensities that the
    network adds its residual to.
    """

    def __init__(self, network: nn.Module, mixed: bool) -> None:
        super().__init__()
        self.network = network
        self.mixed = mixed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The prediction, float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            return self.network(x).float()


def make_fabric(config: TrainingConfig) -> Any:
    """Lightning Fabric on the chosen device, launched: with several processes, each goes on from here."""
    lightning = require("lightning_fabric", extra="train")
    device = choose_device(config.device)
    processes = config.compute.processes
    fabric = lightning.Fabric(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index] if device.index is not None and processes == 1 else processes,
        num_nodes=config.compute.nodes,
        strategy="ddp" if processes * config.compute.nodes > 1 else "auto",
        precision="32-true",
    )
    fabric.launch()
    return fabric


def leads() -> bool:
    """Whether this is the only process of the training, or the first of them."""
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last_3d) if tensor.dim() == 5 else tensor


def _mixed(config: TrainingConfig, device: torch.device) -> bool:
    if config.optimizer.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return config.optimizer.precision == "bf16"


class Engine:
    """The networks, their optimizers and the step that trains them."""

    def __init__(
        self, config: TrainingConfig, network: ImageNetwork, fabric: Any, critic: Discriminator | None = None
    ) -> None:
        self.config, self.network, self._fabric = config, network, fabric
        if config.compute.channels_last:
            network.to(memory_format=torch.channels_last_3d)  # ty: ignore[no-matching-overload]
        self.average = ExponentialMovingAverage(network, config.optimizer.average)
        self.average.network.to(fabric.device)
        self._optimizer = make_adam(network, config.optimizer)
        self._mixed = _mixed(config, fabric.device)
        self._precision = _Forward(network, self._mixed)
        self._output_rates = output_rates(network, config.optimizer)
        self._free = [p for p in network.parameters() if p.requires_grad]
        self._forward, self._wrapped_optimizer = fabric.setup(self._precision, self._optimizer)
        self.critic = self._make_critic(critic) if config.loss.adversarial > 0 else None

    def _make_critic(self, critic: Discriminator | None) -> Discriminator:
        """The critic given, or a new one, with its optimizer.

        Raises:
            ValueError: it judges other channels than the network makes.
        """
        channels = 2 + self.network.mask_channels + self.tells_spacing
        critic = critic or Discriminator(DiscriminatorConfig(self.config.loss.critic_filters, channels))
        if critic.config.channels != channels:
            raise ValueError(
                f"The critic to start from judges {critic.config.channels} channels, but this training has {channels}: "
                "intensity, cortex, those of a brain mask, and the slice spacing of a conditional network. Take the "
                "critic of such a network, or import the file and name the model with init, for a new critic."
            )
        optimizer = self.config.optimizer
        rate = optimizer.rate * optimizer.critic_share
        self._critic_optimizer = torch.optim.Adam(critic.parameters(), lr=rate, betas=optimizer.betas)
        objective = CriticObjective(critic, self.config.loss.gradient_penalty)
        self._objective, self._wrapped_critic_optimizer = self._fabric.setup(objective, self._critic_optimizer)
        return critic

    @property
    def parts(self) -> Parts:
        """What a state file holds."""
        parts: Parts = {"network": self.network, "average": self.average.network, "optimizer": self._optimizer}
        if self.critic is not None:
            parts |= {"critic": self.critic, "critic_optimizer": self._critic_optimizer}
        return parts

    @property
    def tells_spacing(self) -> bool:
        """Whether a step needs the slice spacing of each patch: for the critic of a conditional network."""
        return self.config.loss.adversarial > 0 and bool(getattr(self.network.config, "conditional", False))

    @property
    def draws(self) -> int:
        """Batches that one step takes from the stream."""
        return 1 if self.critic is None else 1 + self.config.loss.critic_steps

    def step(self, stream: Iterator[list[torch.Tensor]], step: int, done: float) -> StepLosses:
        """Update the critic, if there is one, then the generator and its average.

        Args:
            stream: batches of input and target, and of slice spacings if `tells_spacing`; see `dataloader.batches`.
            step: steps done before.
            done: share of the run that is done.

        Raises:
            TrainingError: a loss or gradient that is not finite; the generator is still that before the step.
        """
        rate = learning_rate(self.config.optimizer, step, done)
        set_rate(self._optimizer, rate)
        self._precision.mixed = self._mixed and done < self.config.optimizer.full_precision_from
        critic_rate = rate * self.config.optimizer.critic_share
        critic_loss = 0.0 if self.critic is None else self._train_critic(stream, step, critic_rate)
        x, target, *spacing = self._batch(stream)
        prediction = self._forward(x)
        loss = self._content_loss(prediction, target)
        if self.critic is not None:
            loss = loss + self.config.loss.adversarial * adversarial_loss(self.critic, prediction, *spacing)
        self._wrapped_optimizer.zero_grad()
        self._fabric.backward(loss)
        with slower_output(self.network, self._output_rates):
            self._checked_step(self._free, loss, self._wrapped_optimizer, step)
        self.average.update(self.network, step + 1)
        return StepLosses(loss.item(), critic_loss)

    def _content_loss(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Of intensity and classes, and of the brain mask where the network predicts one."""
        config, classes = self.config.loss, 1 + len(self.config.tissues)
        loss = content_loss(prediction, target[:, :classes], config)
        if self.network.mask_channels == 0:
            return loss
        return loss + config.mask_weight * segmentation_loss(prediction[:, classes:], target[:, classes:], config)

    def _train_critic(self, stream: Iterator[list[torch.Tensor]], step: int, rate: float) -> float:
        set_rate(self._critic_optimizer, rate)
        total = 0.0
        for turn in range(self.config.loss.critic_steps):
            x, target, *spacing = self._batch(stream)
            with torch.no_grad():
                fake = self._forward(x)
            loss = self._objective(target, fake, self._mix(step, turn), *spacing)
            self._wrapped_critic_optimizer.zero_grad()
            self._fabric.backward(loss)
            self._checked_step(list(self.critic.parameters()), loss, self._wrapped_critic_optimizer, step)  # ty: ignore[missing-union-attribute]
            total += loss.item()
        return total / self.config.loss.critic_steps

    def _mix(self, step: int, turn: int) -> torch.Tensor:
        """Where between real and fake the penalty looks: a function of seed and step, so that a resume is exact."""
        generator = torch.Generator().manual_seed((self.config.seed * 1_000_003 + step) * 64 + turn)
        mix = torch.rand(self.config.optimizer.batch, 1, 1, 1, 1, generator=generator)
        return mix.chunk(self._fabric.world_size)[self._fabric.global_rank].to(self._fabric.device)

    def _batch(self, stream: Iterator[list[torch.Tensor]]) -> list[torch.Tensor]:
        batch = [tensor.to(self._fabric.device, non_blocking=True) for tensor in next(stream)]
        if self.config.compute.channels_last:
            batch = [_channels_last(tensor) for tensor in batch]
        return batch

    def _checked_step(self, parameters: list[nn.Parameter], loss: torch.Tensor, optimizer: Any, step: int) -> None:
        clip = self.config.optimizer.clip
        norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf if clip is None else clip)
        if not (math.isfinite(norm.item()) and math.isfinite(loss.item())):
            raise TrainingError(
                f"The loss became {loss.item()} at step {step + 1} (norm of the gradient {norm.item()}); the files of "
                "the last good checkpoint are kept. Resume with a lower optimizer.rate or with optimizer.precision 32."
            )
        optimizer.step()
