"""Weights that rebuild a patch from its neighbours, as in locally linear embedding (Roweis and Saul, Science 2000)."""

from __future__ import annotations

import torch

_SWEEPS = 15


def simplex_weights(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """Minimize w' (G + ridge tr(G) I) w over w >= 0 with sum w = 1, for many G at once.

    With G the Gram matrix of the differences between a patch and its neighbours this is the convex combination of the
    neighbours that is closest to the patch. Up to its scale the solution is that of min w' G w / 2 - sum w, w >= 0,
    which a few sweeps of coordinate descent solve, all patches side by side.

    Args:
        gram: (patches, neighbours, neighbours), symmetric, positive semidefinite.
        ridge: relative to the trace; makes the solution unique and prefers even weights.

    Returns:
        (patches, neighbours), each row at least 0 and with sum 1.
    """
    count = gram.shape[-1]
    matrix = gram.permute(1, 2, 0).clone(memory_format=torch.contiguous_format)  # long rows of patches are quick
    diagonal = torch.diagonal(matrix).T  # a view (neighbours, patches)
    diagonal += ridge * diagonal.sum(0) + 1e-12
    weights = (count / matrix.sum((0, 1))).expand(count, -1).clone()
    slope = (matrix * weights).sum(1) - 1
    for _ in range(_SWEEPS):
        for k in range(count):
            step = torch.clamp(weights[k] - slope[k] / diagonal[k], min=0) - weights[k]
            weights[k] += step
            slope.addcmul_(matrix[k], step)
    return (weights / weights.sum(0)).T
