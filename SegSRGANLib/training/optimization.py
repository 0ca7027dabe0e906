"""Learning rate, weight averaging and parameter groups."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from ..networks.image_network import ImageNetwork

SCHEDULES = ("constant", "cosine")
PRECISIONS = ("auto", "32", "bf16")
_NORMALIZED_RATE = 0.004  # times the rate, of the filter that makes the intensity out of normalized features


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam and what surrounds it.

    batch: patches a step, over all processes.
    rate, betas: of Adam. schedule: "constant", or "cosine" down to `floor` times the rate at the end of the run.
    critic_rate: of the critic's Adam, which follows the same schedule; None takes `rate`.
    warmup: steps over which the rate rises from zero.
    output_rate: of a network whose last convolution makes both channels (the paper's): factors on the rate of its
        filters, for intensity and for segmentation. None takes 0.004 for the intensity: the features are normalized,
        many and large, and one step of the full rate would shake the intensity by more than its errors.
    clip: largest norm of the gradient; None does not clip.
    average: decay of the moving average of the weights that is validated and saved; 0 averages nothing.
    precision: "32", "bf16" (mixed), or "auto": bf16 on a GPU that has it.
    full_precision_from: share of the run after which everything is computed in 32 bits.
    """

    batch: int = 2
    rate: float = 4e-4
    critic_rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine"
    floor: float = 0.02
    warmup: int = 100
    output_rate: tuple[float, float] | None = None
    clip: float | None = 20.0
    average: float = 0.999
    precision: str = "auto"
    full_precision_from: float = 0.85

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"A batch has at least one patch, not {self.batch}.")
        for rate in (self.rate, self.rate if self.critic_rate is None else self.critic_rate):
            if not 0 < rate <= 1:
                raise ValueError(f"The learning rate lies above 0 and at most at 1, not at {rate}.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"Unknown schedule {self.schedule!r}; it is one of {', '.join(SCHEDULES)}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"Unknown precision {self.precision!r}; it is one of {', '.join(PRECISIONS)}.")
        for name in ("floor", "full_precision_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"optimizer.{name} lies between 0 and 1, not at {getattr(self, name)}.")
        if not (0 <= self.average < 1 and all(0 <= beta < 1 for beta in self.betas)):
            raise ValueError("optimizer.average and optimizer.betas are at least 0 and below 1.")
        if self.warmup < 0 or min(self.output_rate or (1.0,)) < 0 or (self.clip is not None and self.clip <= 0):
            raise ValueError("optimizer.clip must be positive, warmup and output_rate not negative.")

    @property
    def critic_share(self) -> float:
        """The critic's rate over the generator's."""
        return 1.0 if self.critic_rate is None else self.critic_rate / self.rate


def learning_rate(config: OptimizerConfig, step: int, done: float) -> float:
    """The rate of one step.

    Args:
        config: the schedule.
        step: steps done before this one.
        done: share of the run that is done, in [0, 1].
    """
    rate = config.rate * min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return rate
    return rate * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * done)))


def make_adam(network: nn.Module, config: OptimizerConfig) -> torch.optim.Adam:
    """Adam over the parameters that are not frozen."""
    return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=config.rate, betas=config.betas)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def output_rates(network: nn.Module, config: OptimizerConfig) -> tuple[float, float]:
    """The factors of `OptimizerConfig.output_rate`, chosen by the network where they are None.

    Raises:
        ValueError: other factors than 1 for a network without a last convolution that makes both channels.
    """
    if getattr(network, "shared_output", False):
        return config.output_rate or (_NORMALIZED_RATE, 1.0)
    if config.output_rate not in (None, (1.0, 1.0)):
        raise ValueError("This network makes intensity and segmentation apart; leave out optimizer.output_rate.")
    return (1.0, 1.0)


@contextmanager
def slower_output(network: nn.Module, factors: tuple[float, float]) -> Generator[None]:
    """Shorten what a step inside the block does to the last convolution, filter by filter.

    Args:
        network: its last convolution has one filter a channel: intensity, segmentation, and perhaps more.
        factors: for the intensity, and for every other channel.
    """
    parameters = [] if factors == (1.0, 1.0) else list(output_layer(network).parameters())
    before = [parameter.detach().clone() for parameter in parameters]
    yield
    with torch.no_grad():
        for parameter, old in zip(parameters, before, strict=True):
            parameter[:1] = torch.lerp(old[:1], parameter[:1], factors[0])
            parameter[1:] = torch.lerp(old[1:], parameter[1:], factors[1])


def output_layer(network: nn.Module) -> nn.Module:
    """The convolution that makes the intensity's residual, by convention named `output`."""
    return network.get_submodule("output")


def start_as_interpolation(network: nn.Module) -> None:
    """Make an untrained network return nearly its input: tiny weights in the last convolution."""
    for name, parameter in output_layer(network).named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=1e-3)


def freeze(network: nn.Module, prefixes: Sequence[str]) -> None:
    """Hold the parameters whose names start with one of the prefixes.

    Raises:
        ValueError: a prefix that no parameter has, or nothing left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(name == prefix or name.startswith(f"{prefix}.") for name in names):
            parts = sorted({name.split(".")[0] for name in names})
            raise ValueError(f"There is no part {prefix!r} to freeze; the network's parts are {', '.join(parts)}.")
    for name, parameter in network.named_parameters():
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            parameter.requires_grad_(False)
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError("Everything is frozen; leave at least one part of the network to train.")


class ExponentialMovingAverage:
    """The exponential moving average of a network's weights; young averages forget faster."""

    def __init__(self, network: ImageNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the weights after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step)) if self._decay > 0 else 0.0
        own = list(self.network.parameters())
        others = [p.detach() for p in network.parameters()]
        torch._foreach_lerp_(own, others, 1 - decay)  # ty: ignore[no-matching-overload]
