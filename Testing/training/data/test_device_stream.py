"""Batches simulated on the device for `segsrgan train`, beside those of the CPU."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from support.training_brains import CORTEX, brain

from SegSRGANLib.training.data.augmentation import AugmentationConfig
from SegSRGANLib.training.data.device_stream import device_batches, device_simulation, objections
from SegSRGANLib.training.data.patch_simulation import SimulationConfig, simulate_patch
from SegSRGANLib.training.data.subject import Subject

CPU = torch.device("cpu")
PLAIN = AugmentationConfig(
    orientations=0.0, gamma=(1.0, 1.0), tissue_shift=0.0, bias=0.0, scale=(1.0, 1.0), background=0.0
)
CONFIG = SimulationConfig(
    patch=16, factor=(3.0, 3.0), inplane_factor=(1.0, 1.0), zoom=(1.0, 1.0), anisotropic_zoom=0.0, noise=0.0,
    augmentation=PLAIN,
)  # fmt: skip


def _subjects(count: int = 2, spacing: float = 0.8) -> list[Subject]:
    found = []
    for seed in range(count):
        image, labels = brain(seed, 40)
        found.append(Subject(f"sub-{seed}", image / 90, labels, {"cortex": (CORTEX,)}, spacing))
    return found


def _drawn(config: SimulationConfig = CONFIG, batches: int = 6, first: int = 0) -> list[list[torch.Tensor]]:
    stream = device_batches(_subjects(), config, None, (0, 0), (first, 4), CPU)
    return list(islice(stream, batches))


def test_batches_have_the_shapes_of_the_dataloader() -> None:
    for given, target in _drawn(replace(CONFIG, augmentation=AugmentationConfig(masked=0.5, synthetic=0.5))):
        assert given.shape == (4, 1, 16, 16, 16)
        assert target.shape == (4, 2, 16, 16, 16)
        assert given.isfinite().all()
        assert target.isfinite().all()
        assert 0 <= float(target[:, 1].min()) <= float(target[:, 1].max()) <= 1


def test_a_stream_goes_on_where_it_was_stopped() -> None:
    whole = _drawn(batches=4)
    again = _drawn(batches=2, first=2)
    for (given, target), (own, wanted) in zip(whole[2:], again, strict=True):
        assert torch.equal(given, own)
        assert torch.equal(target, wanted)
    assert not torch.equal(whole[0][0], whole[1][0])


def test_processes_draw_other_patches() -> None:
    first, second = (next(device_batches(_subjects(), CONFIG, None, (0, rank), (0, 2), CPU)) for rank in (0, 1))
    assert not torch.equal(first[0], second[0])


def test_patches_are_as_those_of_the_cpu() -> None:
    """Share of cortex, brightness, and what thick slices take away, over many patches of both."""

    def facts(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
        lost = np.mean([float((x[0] - t[0]).square().mean()) for x, t in pairs]) ** 0.5
        return np.array([np.mean([float(t[1].mean()) for _, t in pairs]),
                         np.mean([float(t[0].mean()) for _, t in pairs]), lost])  # fmt: skip

    ours = [(x, t) for given, target in _drawn(batches=16) for x, t in zip(given, target, strict=True)]
    rng, subjects = np.random.default_rng(0), _subjects()
    theirs = [simulate_patch(subjects[k % 2], CONFIG, rng) for k in range(64)]
    np.testing.assert_allclose(facts(ours), facts(theirs), rtol=0.12)


def test_masked_patches_are_black_in_input_and_target_alike() -> None:
    masked = replace(CONFIG, augmentation=replace(PLAIN, masked=1.0))
    for given, target in _drawn(masked):
        outside = given == 0
        assert outside.any()
        assert float(target[:, :1][outside].abs().max()) == 0


def test_hard_edges_end_at_the_brain() -> None:
    hard = replace(CONFIG, label_share=0.0, augmentation=replace(PLAIN, background=1.0, hard_edge=1.0))
    soft = replace(hard, augmentation=replace(PLAIN, background=1.0))
    zeros = [np.mean([float((t[:, 0] == 0).float().mean()) for _, t in _drawn(c)]) for c in (hard, soft)]
    assert zeros[0] > zeros[1] + 0.05


def test_slices_in_millimetres_become_voxels() -> None:
    config = device_simulation(_subjects(), CONFIG, (2.4, 4.0))
    assert config.factor == pytest.approx((3.0, 5.0))
    assert config.usual_factor == config.factor


def test_what_cannot_be_done_is_said() -> None:
    assert objections(_subjects(), CONFIG, (2.0, 3.0), None) == []
    mixed = [*_subjects(1), *_subjects(1, spacing=0.5)]
    assert "differ in spacing" in objections(mixed, CONFIG, (2.0, 3.0), None)[0]
    assert objections(mixed, CONFIG, None, None) == []
    assert "mask_overlap" in objections(mixed, replace(CONFIG, mask_overlap=0.5), None, None)[0]
    assert "GB that are free" in objections(_subjects(), CONFIG, None, 1000)[0]


def test_tissues_that_are_no_class_keep_their_brightness_and_are_no_target() -> None:
    """Fluid and white matter are parts of the brain: a mask keeps them, the target is the cortex alone."""
    given, target = next(
        device_batches(_subjects(), replace(CONFIG, augmentation=replace(PLAIN, masked=1.0)), None, (0, 0), (0, 8), CPU)
    )
    inside = target[:, :1] > 0
    assert float(inside.float().mean()) > 1.5 * float((target[:, 1:] > 0.5).float().mean())
    assert given.shape[1] == 1
