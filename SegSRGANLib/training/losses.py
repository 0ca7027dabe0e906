"""What a generator is trained to make small (Pham et al., ISBI 2019, Section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

_EDGE = 1e-7  # distance of probabilities from 0 and 1, so that one voxel cannot dominate

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def charbonnier(prediction: torch.Tensor, target: torch.Tensor, nu: float = 1e-3) -> torch.Tensor:
    """Mean of sqrt(difference^2 + nu^2): the absolute error, smooth at zero (eq. 5)."""
    return (prediction - target).square().add(nu * nu).sqrt().mean()


def soft_dice_loss(probability: torch.Tensor, target: torch.Tensor, smooth: float = 100.0) -> torch.Tensor:
    """One minus the Dice overlap of two fuzzy sets, per sample and class, then the mean.

    Args:
        probability: (N, classes, D, H, W) in [0, 1].
        target: the same shape, in [0, 1].
        smooth: voxels added to both sides of the fraction, so that an empty patch does not dominate.
    """
    axes = (2, 3, 4)
    overlap = 2 * (probability * target).sum(axes) + smooth
    return (1 - overlap / ((probability + target).sum(axes) + smooth)).mean()


DISTANCES: dict[str, Distance] = {"charbonnier": charbonnier, "l1": F.l1_loss, "l2": F.mse_loss}


def off_the_edge(probability: torch.Tensor) -> torch.Tensor:
    """Probabilities in [0, 1], kept off 0 and 1 by a map that has a slope everywhere.

    A clamp has none beyond its bounds: a rare class whose probabilities once fell below them would never learn again.
    """
    return _EDGE + (1 - 2 * _EDGE) * probability


@dataclass(frozen=True)
class LossConfig:
    """The parts of the loss and their weights.

    intensity, segmentation: distance of each channel, "charbonnier", "l1" or "l2". Every part of the segmentation's
        loss is a mean over the classes.
    intensity_weight, segmentation_weight: of these; one half each is the paper's mean over both channels.
    dice, cross_entropy: weights of the soft Dice loss and the binary cross-entropy of the segmentation.
    mask_weight: of a brain mask's loss, which has the parts of the segmentation's.
    adversarial: weight of the adversarial loss (the paper's lambda_adv); 0 trains without a critic.
    gradient_penalty: lambda_gp of the critic. critic_steps: critic updates before each generator update.
    critic_filters: channels of the critic's first convolution.
    """

    intensity: str = "charbonnier"
    segmentation: str = "charbonnier"
    intensity_weight: float = 2.0
    segmentation_weight: float = 1.0
    dice: float = 1.0
    cross_entropy: float = 0.5
    mask_weight: float = 1.0
    adversarial: float = 0.0
    gradient_penalty: float = 10.0
    critic_steps: int = 5
    critic_filters: int = 32

    def __post_init__(self) -> None:
        for name in (self.intensity, self.segmentation):
            if name not in DISTANCES:
                raise ValueError(f"Unknown loss {name!r}; it is one of {', '.join(DISTANCES)}.")
        weights = (self.segmentation_weight, self.dice, self.cross_entropy, self.adversarial, self.gradient_penalty)
        if min(*weights, self.intensity_weight, self.mask_weight) < 0 or self.intensity_weight == 0:
            raise ValueError("The weights of the losses must not be negative, and that of the intensity not zero.")
        if self.critic_steps < 1:
            raise ValueError(f"loss.critic_steps is at least 1, not {self.critic_steps}.")


def content_loss(prediction: torch.Tensor, target: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """How far a prediction is from the truth.

    Args:
        prediction: (N, C, D, H, W): intensity, probabilities, and what else the network predicts; or intensity alone.
        target: (N, 1 + classes, D, H, W): intensity, and share of each class.
        config: distances and weights.
    """
    loss = config.intensity_weight * DISTANCES[config.intensity](prediction[:, :1], target[:, :1])
    if prediction.shape[1] == 1:
        return loss
    return loss + segmentation_loss(prediction[:, 1 : target.shape[1]], target[:, 1:], config)


def segmentation_loss(probability: torch.Tensor, tissue: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """How far probabilities are from the truth, both (N, classes, D, H, W) in [0, 1]."""
    loss = probability.new_zeros(())
    if config.segmentation_weight > 0:
        loss = loss + config.segmentation_weight * DISTANCES[config.segmentation](probability, tissue)
    if config.dice > 0:
        loss = loss + config.dice * soft_dice_loss(probability, tissue)
    if config.cross_entropy > 0:
        loss = loss + config.cross_entropy * F.binary_cross_entropy(off_the_edge(probability), tissue)
    return loss


class Told(nn.Module):
    """A critic that is told the slice spacing, as one more channel after those that it judges.

    critic: of one channel more than the images. spacing: (N,), mm.
    """

    def __init__(self, critic: nn.Module, spacing: torch.Tensor) -> None:
        super().__init__()
        self.critic, self._spacing = critic, spacing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of images (N, C, D, H, W)."""
        return self.critic(torch.cat([x, self._spacing.view(-1, 1, 1, 1, 1).expand_as(x[:, :1])], dim=1))


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

    def forward(
        self, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor, spacing: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of one batch; see `gradient_penalty` for the shapes, and `Told` for the spacing."""
        critic = self.critic if spacing is None else Told(self.critic, spacing)
        with torch.autocast(real.device.type, enabled=False):
            real, fake = real.float(), fake.float()
            separation = critic(real).mean() - critic(fake).mean()
            return self.penalty * gradient_penalty(critic, real, fake, mix) - separation


def adversarial_loss(critic: nn.Module, fake: torch.Tensor, spacing: torch.Tensor | None = None) -> torch.Tensor:
    """Minus the mean score of the generator's output, with the critic held fixed; see `Told` for the spacing."""
    judge = critic if spacing is None else Told(critic, spacing)
    fixed = {name: value.detach() for name, value in judge.named_parameters()}
    with torch.autocast(fake.device.type, enabled=False):
        return -functional_call(judge, fixed, (fake.float(),)).mean()
