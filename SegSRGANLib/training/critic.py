"""The Wasserstein critic with gradient penalty (Gulrajani et al., 2017), as the paper uses it."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call


def gradient_penalty(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Mean of (|gradient of the critic| - 1)^2 on the segments between real and fake samples.

    Args:
        critic: (N, C, D, H, W) -> scores, (N, ...).
        real, fake: (N, C, D, H, W).
        mix: (N, 1, 1, 1, 1) in [0, 1], where on its segment each sample is taken; 1 is real.
    """
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    scores = critic(between)
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class CriticObjective(nn.Module):
    """What the critic makes small: mean score of fakes - mean score of reals + penalty.

    A module of its own, so that one distributed forward pass holds all that the critic's backward pass needs. It runs
    in full precision: the penalty differentiates a gradient.
    """

    def __init__(self, critic: nn.Module, penalty: float) -> None:
        super().__init__()
        self.critic = critic
        self.penalty = penalty

    def forward(self, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
        """The loss of one batch; see `gradient_penalty` for the shapes."""
        with torch.autocast(real.device.type, enabled=False):
            real, fake = real.float(), fake.float()
            separation = self.critic(real).mean() - self.critic(fake).mean()
            return self.penalty * gradient_penalty(self.critic, real, fake, mix) - separation


def adversarial_loss(critic: nn.Module, fake: torch.Tensor) -> torch.Tensor:
    """Minus the mean score of the generator's output, with the critic held fixed."""
    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    with torch.autocast(fake.device.type, enabled=False):
        return -functional_call(critic, fixed, (fake.float(),)).mean()
