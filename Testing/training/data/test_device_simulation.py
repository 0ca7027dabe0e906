"""Batches of patches made on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from SegSRGANLib.training.data.device_config import DeviceSimulation
from SegSRGANLib.training.data.device_simulation import DeviceSimulator, PatchBatch
from SegSRGANLib.training.data.device_volumes import DeviceVolume, to_device
from SegSRGANLib.training.data.volume_pack import PackedVolume
from SegSRGANLib.transforms.line_operators import spline_matrix

CPU = torch.device("cpu")
CLASSES = [(5,), (1, 8), (2,), (4,), (6, 10), (3,), (7,)]
SMALL = DeviceSimulation(patch=16, factor=(1.5, 3.0), usual_factor=(2.0, 3.0), slice_draws=6, inplane_draws=6)


def packed(name: str = "x", image: bool = True, averaged: bool = False) -> PackedVolume:
    """Shells of cortex (5), white matter (1) and fluid (4) in surroundings (9)."""
    z, y, x = np.mgrid[-20:20, -18:22, -19:17]
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.select([radius < 9, radius < 12, radius < 14, radius < 16], [1, 5, 4, 9], 0).astype(np.uint8)
    levels = np.array([0, 0.6, 0.9, 0.4, 0.95, 0.35, 0.4, 0.3, 0.6, 0.1, 0.4])
    smooth = (levels[labels] + 0.05 * np.sin(z / 2.0) * (labels > 0)).astype(np.float32)
    return PackedVolume(name, np.maximum(smooth, 0) if image else None, labels, 0.8, 1.0, averaged)


def placed(*volumes: PackedVolume) -> list[DeviceVolume]:
    return [to_device(volume, CLASSES, CPU) for volume in volumes]


def drawn(config: DeviceSimulation = SMALL, seed: int = 0, count: int = 4) -> PatchBatch:
    volumes = placed(packed(), packed("labels", image=False), packed("mean", averaged=True))
    return DeviceSimulator(volumes, config, seed, CPU).batch(count)


def test_shapes_and_ranges() -> None:
    batch = drawn()
    assert batch.given.shape == (4, 1, 16, 16, 16)
    assert batch.target.shape == (4, 8, 16, 16, 16) and batch.weight.shape == (4, 2, 16, 16, 16)
    for tensor in (batch.given, batch.target, batch.weight):
        assert torch.isfinite(tensor).all()
    assert batch.target[:, 1:].min() >= 0 and batch.target[:, 1:].sum(1).max() <= 1 + 1e-4
    assert batch.weight.min() >= 0 and batch.weight.max() <= 1


def test_the_same_seed_gives_the_same_batch() -> None:
    torch.testing.assert_close(drawn(seed=3).given, drawn(seed=3).given)
    assert not torch.equal(drawn(seed=3).given, drawn(seed=4).given)


def test_many_seeds_stay_finite() -> None:
    for seed in range(4):
        batch = drawn(replace(SMALL, synthetic=0.9, noise=0.2), seed)
        assert torch.isfinite(batch.given).all() and torch.isfinite(batch.target).all()


def test_a_masked_input_is_black_where_the_mask_cuts_and_nothing_counts_there() -> None:
    batch = drawn(replace(SMALL, masked=1.0, stripped=0.0), count=6)
    outside = batch.given == 0
    assert outside.any() and not outside.all()
    assert bool((batch.weight[:, 1:][outside] == 0).all())


def test_surroundings_are_no_class() -> None:
    volume = placed(packed())[0]
    assert volume.shares.shape[1] == len(CLASSES) + 1
    assert float(volume.shares[0, -1].sum()) == int((packed().labels == 9).sum())
    assert volume.medians[0] == pytest.approx(0.35, abs=0.05)


def test_resampling_keeps_what_linear_interpolation_blurs() -> None:
    """Against cubic splines at shifted voxels, on a volume with detail of four voxels."""
    z, y, x = np.mgrid[0:24, 0:24, 0:24]
    detail = (0.5 + 0.2 * np.cos(np.pi / 2 * z) * np.cos(np.pi / 2 * y)).astype(np.float32)
    volume = to_device(PackedVolume("d", detail, np.full(detail.shape, 5, np.uint8), 1.0), CLASSES, CPU)
    simulator = DeviceSimulator([volume], SMALL, 0, CPU)
    shift = 0.5
    side = SMALL.side
    line = torch.arange(side, dtype=torch.float32) - side / 2 + 12 + shift
    places = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1)[None]
    inner = slice(side // 2 - 6, side // 2 + 6)
    own = simulator._sampled([volume], places)[0][0, 0, inner, inner, inner].numpy()
    matrix = spline_matrix(24, line[inner].numpy().astype(float))
    exact = np.einsum("az,by,cx,zyx->abc", matrix, matrix, matrix, detail)
    linear = torch.nn.functional.grid_sample(
        torch.from_numpy(detail)[None, None], ((2 * places + 1) / 24 - 1).flip(-1), align_corners=False
    )[0, 0, inner, inner, inner].numpy()
    assert np.abs(own - exact).max() < 0.35 * np.abs(linear - exact).max()


def test_permuted_patches_keep_the_thick_axis_of_the_scan() -> None:
    """A scan is cut along its own axes as often as `scan_axes` says, however the patch is turned."""
    volume = placed(packed())[0]
    simulator = DeviceSimulator([volume], replace(SMALL, permuted=1.0, deformed=0.0, scan_axes=(0.0, 1.0, 0.0)), 0, CPU)
    for _ in range(20):
        turn, _, axis = simulator._placement(volume)
        assert np.argmax(np.abs(turn[:, axis])) == 1
