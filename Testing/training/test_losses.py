"""The losses against independent formulas, and the critic on a toy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from SegSRGANLib.networks.segsrgan import Discriminator, DiscriminatorConfig
from SegSRGANLib.training.losses import (
    CriticObjective,
    LossConfig,
    adversarial_loss,
    charbonnier,
    content_loss,
    gradient_penalty,
    soft_dice_loss,
)


def _pair(channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(3, channels, 4, 5, 6, generator=generator) for _ in range(2)]


def test_charbonnier_is_the_smoothed_absolute_error():
    a, b = _pair()
    expected = np.mean(np.sqrt((a.numpy() - b.numpy()) ** 2 + 1e-6))
    assert charbonnier(a, b).item() == pytest.approx(expected, rel=1e-5)
    assert charbonnier(a, a).item() == pytest.approx(1e-3, rel=1e-4)


def test_soft_dice_counts_each_sample_alone():
    probability, target = _pair(1)
    p, t = probability.numpy().astype(float), target.numpy().astype(float)
    each = [1 - (2 * (x * y).sum() + 7) / ((x + y).sum() + 7) for x, y in zip(p, t, strict=True)]
    assert soft_dice_loss(probability, target, smooth=7).item() == pytest.approx(np.mean(each), rel=1e-5)
    binary = (target > 0.5).float()
    assert soft_dice_loss(binary, binary).item() == pytest.approx(0, abs=1e-6)


def test_content_loss_adds_its_weighted_parts():
    prediction, target = _pair()
    config = LossConfig("l2", "l1", 2.0, 3.0, 0.5, 0.7)
    expected = 2 * ((prediction[:, 0] - target[:, 0]) ** 2).mean() + 3 * (prediction[:, 1] - target[:, 1]).abs().mean()
    expected += 0.5 * soft_dice_loss(prediction[:, 1:], target[:, 1:])
    p, t = prediction[:, 1].double().clamp(1e-5, 1 - 1e-5), target[:, 1].double()
    expected += 0.7 * -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    assert content_loss(prediction, target, config).item() == pytest.approx(expected.item(), rel=1e-6)


def test_content_loss_of_an_intensity_network_ignores_the_segmentation():
    prediction, target = _pair()
    config = LossConfig("l2", intensity_weight=1.0, dice=1.0)
    expected = ((prediction[:, 0] - target[:, 0]) ** 2).mean().item()
    assert content_loss(prediction[:, :1], target, config).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("part", ["segmentation_weight", "dice", "cross_entropy"])
def test_the_segmentations_loss_is_the_mean_over_the_classes(part):
    prediction, target = _pair(4)
    nothing = {"intensity_weight": 1e-9, "segmentation_weight": 0.0, "dice": 0.0, "cross_entropy": 0.0}
    config = LossConfig(**{**nothing, part: 1.0})
    each = [content_loss(prediction[:, [0, k]], target[:, [0, k]], config).item() for k in (1, 2, 3)]
    assert len(set(each)) == 3
    assert content_loss(prediction, target, config).item() == pytest.approx(np.mean(each), rel=1e-5)


def test_content_loss_leaves_out_what_a_network_predicts_beside_the_classes():
    prediction, target = _pair(3)
    expected = content_loss(prediction[:, :2], target[:, :2], LossConfig())
    assert content_loss(prediction, target[:, :2], LossConfig()) == expected


class _Linear(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x):
        return (x * self.weights).sum((1, 2, 3, 4))


def test_gradient_penalty_of_a_linear_critic_is_known():
    real, fake = _pair()
    weights = torch.full(real.shape[1:], 0.25)
    norm = 0.25 * math.sqrt(weights.numel())  # the gradient of w . x is w, wherever it is taken
    penalty = gradient_penalty(_Linear(weights), real, fake, torch.rand(3, 1, 1, 1, 1))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_gradient_penalty_equals_finite_differences():
    generator = torch.Generator().manual_seed(1)
    critic = nn.Sequential(nn.Conv3d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(3, 1)).double()
    real, fake = (torch.rand(2, 2, 2, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    mix = torch.tensor([0.3, 0.9], dtype=torch.float64).reshape(2, 1, 1, 1, 1)
    points = mix * real + (1 - mix) * fake
    norms = []
    for point in points:
        slopes = []
        for index in range(point.numel()):
            step = torch.zeros(point.numel(), dtype=torch.float64)
            step[index] = 1e-6
            step = step.reshape(point.shape)
            with torch.no_grad():
                slopes.append((critic((point + step)[None]) - critic((point - step)[None])).item() / 2e-6)
        norms.append(np.linalg.norm(slopes))
    expected = np.mean([(norm - 1) ** 2 for norm in norms])
    assert gradient_penalty(critic, real, fake, mix).item() == pytest.approx(expected, rel=1e-6)


def test_gradient_penalty_trains_the_critic():
    real, fake = _pair()
    critic = _Linear(torch.full(real.shape[1:], 0.25))
    gradient_penalty(critic, real, fake, torch.rand(3, 1, 1, 1, 1)).backward()
    norm = critic.weights.detach().norm()
    expected = 2 * (norm - 1) * critic.weights.detach() / norm
    torch.testing.assert_close(critic.weights.grad, expected)


def test_critic_learns_to_separate_real_from_fake():
    torch.manual_seed(0)
    critic = Discriminator(DiscriminatorConfig(2))
    objective = CriticObjective(critic, 10.0)
    optimizer = torch.optim.Adam(critic.parameters(), 4e-3, (0.5, 0.9))
    line = torch.linspace(0, 6, 64)
    smooth = 0.5 + 0.5 * torch.sin(line)[:, None, None] * torch.cos(line)[:, None] * torch.sin(line)
    real = smooth.expand(2, 2, 64, 64, 64).contiguous()
    fake = (real + 0.3 * torch.randn_like(real)).clamp(0, 1)
    losses = []
    for _ in range(12):
        loss = objective(real, fake, torch.rand(2, 1, 1, 1, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        assert critic(real).min() > critic(fake).max()
    assert losses[-1] < losses[0]


def test_the_generators_loss_leaves_the_critic_alone():
    critic = _Linear(torch.rand(2, 4, 5, 6))
    fake = torch.rand(3, 2, 4, 5, 6, requires_grad=True)
    adversarial_loss(critic, fake).backward()
    assert critic.weights.grad is None
    torch.testing.assert_close(fake.grad, -critic.weights.detach().expand(3, -1, -1, -1, -1) / 3)


@pytest.mark.parametrize("values", [{"intensity": "l3"}, {"adversarial": -1.0}, {"critic_steps": 0}])
def test_impossible_losses_are_refused(values):
    with pytest.raises(ValueError, match="loss|l3|weights"):
        LossConfig(**values)


def test_a_class_that_is_never_predicted_still_learns():
    odds = torch.full((1, 1, 2, 2, 2), -14.0, requires_grad=True)  # a probability of 8e-7
    prediction = torch.cat([torch.zeros(1, 1, 2, 2, 2), torch.sigmoid(odds)], dim=1)
    target = torch.cat([torch.zeros(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2)], dim=1)
    content_loss(prediction, target, LossConfig(dice=0.0, segmentation_weight=0.0, cross_entropy=1.0)).backward()
    assert odds.grad.sum() < -0.5
