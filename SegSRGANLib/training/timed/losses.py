"""The content loss of a batch whose voxels do not all count the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..data.device_simulation import PatchBatch
from ..losses import off_the_edge
from .recipes import Recipe

_FIRST = 3.0  # weight of the first class, the cortex, over that of any other
_SMOOTH = 100.0  # voxels added to both sides of the Dice fraction, so that an empty patch does not dominate
_ENTROPY = 1.5  # weight of the cross entropy beside the Dice loss


def weighted_content_loss(prediction: torch.Tensor, batch: PatchBatch, recipe: Recipe) -> torch.Tensor:
    """Charbonnier distance of the intensity; soft Dice and cross entropy of each class.

    Args:
        prediction: (N, 1 + classes, D, H, W) float32, or (N, 1, D, H, W) without classes.
        batch: with its target and weights.
        recipe: weights of the parts.
    """
    target, weight = batch.target, batch.weight
    distance = (prediction[:, :1] - target[:, :1]).square().add(recipe.nu**2).sqrt() - recipe.nu
    loss = recipe.intensity_weight * (distance * weight[:, :1]).mean()
    classes = prediction.shape[1] - 1
    if classes == 0:
        return loss
    probability, share, counted = prediction[:, 1:], target[:, 1 : 1 + classes], weight[:, 1:]
    importance = torch.ones(classes, device=prediction.device)
    importance[0] = _FIRST
    entropy = F.binary_cross_entropy(off_the_edge(probability), share, reduction="none") * counted
    overlap = 2 * (probability * share * counted).sum((2, 3, 4)) + _SMOOTH
    total = ((probability + share) * counted).sum((2, 3, 4)) + _SMOOTH
    per_class = _ENTROPY * entropy.mean((0, 2, 3, 4)) + (1 - overlap / total).mean(0)
    return loss + recipe.segmentation_weight * (per_class * importance).sum() / importance.sum()
