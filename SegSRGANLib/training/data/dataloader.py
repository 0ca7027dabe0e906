"""The endless stream of training batches.

Patch number k of a run is drawn by a random generator seeded with (seed, k) alone: the same whatever the number of
workers or processes, and the same when a run that was stopped goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .patch_simulation import SimulationConfig, simulate_slices
from .subject import Subject


class PatchDataset(Dataset):
    """Patch number k: (input (1, p, p, p), target (C, p, p, p)), and the slice spacing in mm where it is wanted.

    See `patch_simulation.simulate_slices`.
    """

    def __init__(
        self,
        subjects: list[Subject],
        config: SimulationConfig,
        thickness: tuple[float, float] | None,
        seed: int,
        with_spacing: bool = False,
    ) -> None:
        self._with_spacing = with_spacing
        self._subjects, self._config, self._thickness, self._seed = subjects, config, thickness, seed
        weights = np.array([subject.weight for subject in subjects])
        self._chances = weights / weights.sum()

    def __getitem__(self, number: int) -> tuple[torch.Tensor, ...]:
        """Draw the patch."""
        rng = np.random.default_rng((self._seed, number))
        subject = self._subjects[rng.choice(len(self._subjects), p=self._chances)]
        *patch, spacing = simulate_slices(subject, self._config, rng, self._thickness)
        return (*patch, torch.tensor(spacing)) if self._with_spacing else tuple(patch)


class _Share(Sampler[list[int]]):
    """The patch numbers of this process, batch after batch, from one batch on, without end."""

    def __init__(self, first: int, batch: int, rank: int, processes: int) -> None:
        self._first, self._batch, self._rank, self._processes = first, batch, rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        own = self._batch // self._processes
        batch = self._first
        while True:
            start = batch * self._batch + self._rank * own
            yield list(range(start, start + own))
            batch += 1


def batches(
    dataset: PatchDataset, first: int, batch: int, workers: int, share: tuple[int, int] = (0, 1)
) -> Iterator[list[torch.Tensor]]:
    """Batches number `first`, `first` + 1, ...

    Args:
        dataset: the patches.
        first: batches that were consumed before.
        batch: patches of one batch, over all processes.
        workers: processes that simulate ahead; 0 simulates in this one.
        share: (rank, number of processes); each gets its part of every batch.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=_Share(first, batch, *share),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def choose_workers(device: torch.device, wanted: int | None) -> int:
    """How many processes simulate patches: as asked, else one for the CPU and up to eight for a GPU."""
    if wanted is not None:
        return wanted
    return 1 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 2) - 1))


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
