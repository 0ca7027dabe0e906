"""Random numbers and fields of a batch, on its device; the same seed gives the same batches on the same device."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


class DeviceRandom:
    """Draws for N patches of side S. numbers: the generator of everything small, on the CPU."""

    def __init__(self, seed: int, side: int, device: torch.device) -> None:
        self.side, self.device = side, device
        self._generator = torch.Generator(device)
        self.restart(seed)

    def restart(self, *seed: int) -> None:
        """Begin anew with a seed of one or several numbers."""
        self.numbers = np.random.default_rng(seed if len(seed) > 1 else seed[0])
        state = seed[0] if len(seed) == 1 else int(np.random.SeedSequence(seed).generate_state(1)[0])
        self._generator.manual_seed(state)

    def on_device(self, values: np.ndarray) -> torch.Tensor:
        """One number a patch, float32, as (N, 1, 1, 1, 1)."""
        return torch.from_numpy(values.astype(np.float32)).to(self.device, non_blocking=True).view(-1, 1, 1, 1, 1)

    def uniform(self, count: int, low: float, high: float) -> torch.Tensor:
        """One uniform number a patch, (N, 1, 1, 1, 1)."""
        return self.on_device(self.numbers.uniform(low, high, count))

    def table(self, count: int, columns: int, low: float, high: float) -> torch.Tensor:
        """Uniform numbers (N, columns)."""
        return torch.empty(count, columns, device=self.device).uniform_(low, high, generator=self._generator)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers of a shape."""
        return torch.randn(*shape, generator=self._generator, device=self.device)

    def smooth_field(self, count: int, channels: int, nodes: int) -> torch.Tensor:
        """Uniform in [-1, 1] at random nodes, linear between them, (N, C, S, S, S)."""
        coarse = torch.rand(count, channels, nodes, nodes, nodes, generator=self._generator, device=self.device)
        return self._finer(coarse * 2 - 1)

    def noise_field(self, count: int, voxels: int) -> torch.Tensor:
        """Normal noise whose grains are `voxels` wide, (N, 1, S, S, S)."""
        nodes = max(2, self.side // voxels)
        return self._finer(self.normal(count, 1, nodes, nodes, nodes))

    def _finer(self, coarse: torch.Tensor) -> torch.Tensor:
        return F.interpolate(coarse, size=(self.side,) * 3, mode="trilinear", align_corners=True)
