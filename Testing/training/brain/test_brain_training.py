"""Training of the brain extractor: the pack, the random scenes, and that the loop learns and stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SegSRGANLib.models.brain_extractor import read_brain_extractor
from SegSRGANLib.training.brain.fields import (
    along_first,
    orientations,
    positions,
    rotations,
    sampled,
    slice_matrices,
)
from SegSRGANLib.training.brain.heads import HeadOptions, Pack, SyntheticHeads
from SegSRGANLib.training.brain.loop import FILE_NAME, Files, Trainer, TrainingOptions, segmentation_loss, train
from SegSRGANLib.training.brain.pack import Source, development_sources, inner_skull_mask, write_pack

_CPU = torch.device("cpu")


def _head(folder: Path, name: str, with_image: bool) -> Source:
    """A ball of cortex around white matter with a brainstem below, in fluid and dura, in RAS voxels of 2 mm."""
    at = (np.indices((60, 64, 62)) - 30) * 2.0
    z, y, x = at
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.select([radius < 28, radius < 36, radius < 40, radius < 44], [1, 5, 4, 9], 0).astype(np.uint8)
    labels[(np.hypot(x, y) < 6) & (z < -20) & (radius < 40)] = 7
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    anat = folder / name / "anat"
    anat.mkdir(parents=True)
    path = anat / f"{name}_dseg.nii.gz"
    sitk.WriteImage(image, str(path))
    scan = anat / f"{name}_T2w.nii.gz"
    if with_image:
        sitk.WriteImage(
            sitk.Cast(image, sitk.sitkFloat32) * 100 + 50 * sitk.Cast(image != 0, sitk.sitkFloat32), str(scan)
        )
    return Source(name, path, scan if with_image else None, newborn=with_image)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    path = folder / "pack.npz"
    write_pack(path, [_head(folder, "sub-A", True), _head(folder, "sub-B", False)])
    return path


def test_pack_is_centred_on_the_brain_and_keeps_its_volume(pack: Path) -> None:
    stored = np.load(pack)
    volumes = stored["mask"].sum(axis=(1, 2, 3)) / 255 * 1.5**3 / 1000
    np.testing.assert_allclose(volumes, 4 / 3 * np.pi * 4.0**3, rtol=0.03)
    np.testing.assert_allclose(stored["extent"], 40, atol=2.5)
    middle = [np.mean(axis) for axis in np.nonzero(stored["mask"][0] > 127)]
    np.testing.assert_allclose(middle, (np.array(stored["mask"].shape[1:]) - 1) / 2, atol=1)
    # the brainstem leaves at the bottom; a voxel outside the head is about as far away as it is
    assert stored["stem"][0, 2] < -33
    assert stored["distance"][0, 28, 30, 0] * 0.5 == pytest.approx(25.5 * 4 - 40, abs=4)
    assert list(stored["has_image"]) == [True, False]
    assert stored["image"][1].max() == 0 < stored["image"][0].max()


def test_surroundings_are_no_brain_and_gaps_are_closed() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:16, 4:16, 4:16] = 5
    labels[4:16, 10, 4:12] = 0  # a narrow fissure that a source left open
    labels[10, 10, 10] = 9
    mask = sitk.GetArrayFromImage(inner_skull_mask(sitk.GetImageFromArray(labels)))
    assert mask[10, 10, 6] == 1
    assert mask[10, 10, 10] == 0
    assert mask.sum() == 12**3 - 1


def test_sources_held_out_are_not_trained_on(tmp_path: Path) -> None:
    for name in (
        "gousias2012/sub-ALBERT01",
        "gousias2012/sub-ALBERT02",
        "fidon2021/sub-SBA25op",
        "fidon2021/sub-SBA26op",
    ):
        anat = tmp_path / name / "anat"
        anat.mkdir(parents=True)
        (anat / f"{anat.parent.name}_dseg.nii.gz").touch()
    assert [s.name for s in development_sources(tmp_path)] == ["sub-ALBERT02", "sub-SBA26op"]
    assert [s.name for s in development_sources(tmp_path, held_out=True)] == ["sub-ALBERT01", "sub-SBA25op"]
    with pytest.raises(ValueError, match="No label maps"):
        development_sources(tmp_path / "nowhere")


def test_turns_are_rotations_within_their_limit() -> None:
    torch.manual_seed(0)
    turns = rotations(50, torch.full((50,), 30.0), _CPU)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    angles = torch.rad2deg(torch.arccos((turns.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2))
    assert 20 < float(angles.max()) < 30.1
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(50))


def test_orientations_are_all_48() -> None:
    torch.manual_seed(0)
    drawn = {tuple(matrix.flatten().int().tolist()) for matrix in orientations(2000, _CPU)}
    assert len(drawn) == 48


def test_sampling_at_the_own_positions_is_the_identity() -> None:
    volume = torch.rand(2, 1, 5, 6, 7)
    at = positions((5, 6, 7), 1.5, _CPU).expand(2, -1, -1, -1, -1)
    torch.testing.assert_close(sampled(volume, at, 1.5, "bilinear"), volume, atol=1e-5, rtol=0)


@pytest.mark.parametrize("thickness", [0.4, 1.0, 2.5])
def test_slices_keep_a_constant_and_thin_ones_keep_all(thickness: float) -> None:
    take, back = slice_matrices(24, torch.tensor([thickness]), torch.tensor([0.9]))
    constant = torch.full((1, 1, 24, 2, 2), 3.0)
    torch.testing.assert_close(along_first(back, along_first(take, constant)), constant)
    if thickness <= 1:
        noise = torch.rand(1, 1, 24, 2, 2)
        torch.testing.assert_close(along_first(back, along_first(take, noise)), noise)
    else:
        assert int((take.sum(2) > 0).sum()) == round(24 / thickness)


def test_heads_are_finite_scans_with_masks_of_any_axis_order(pack: Path) -> None:
    torch.manual_seed(0)
    source = SyntheticHeads(Pack(pack, _CPU), HeadOptions(shapes=((32, 40, 48),)), seed=1)
    shapes, volumes = set(), []
    for _ in range(6):
        image, target = source.batch(3)
        assert image.shape == target.shape
        assert image.isfinite().all()
        assert float(image.min()) >= 0
        assert 0 <= float(target.min()) <= float(target.max()) <= 1
        shapes.add(tuple(image.shape[2:]))
        volumes += (target.sum((1, 2, 3, 4)) * 8 / 1000).tolist()
    assert len(shapes) > 2
    # a ball of 40 mm has 268 mL; the field of 64 x 80 x 96 mm cuts some of it
    assert max(volumes) > 120
    assert max(volumes) < 268 * 1.7


def test_stripped_scans_show_nothing_far_from_the_brain(pack: Path) -> None:
    torch.manual_seed(0)
    options = HeadOptions(shapes=((48, 48, 48),), stripped=1.0, noise=0.0, thickness=1.0, empty=0.0)
    image, target = SyntheticHeads(Pack(pack, _CPU), options, seed=1).batch(6)
    near = torch.nn.functional.max_pool3d(target, 15, 1, 7) > 0.1
    assert float(image[~near].max()) < 0.05
    assert float(target.sum()) > 0


def test_loss_falls_to_nothing_for_the_truth() -> None:
    target = torch.zeros(2, 1, 16, 16, 16)
    target[0, :, 2:12, 2:12, 2:12] = 1
    assert float(segmentation_loss((target - 0.5) * 40, target)) < 0.01
    assert float(segmentation_loss((0.5 - target) * 40, target)) > 5


def test_moments_are_fixed_as_in_prediction_after_the_first_fifth() -> None:
    trainer = Trainer(_CPU, TrainingOptions())
    moments = trainer.network.stem.running_mean
    image, target = torch.rand(2, 1, 16, 16, 16), torch.zeros(2, 1, 16, 16, 16)
    trainer.step(image, target, 0.1)
    early, weight = moments.clone(), trainer.network.stem.conv.weight.detach().clone()
    assert float(early.abs().max()) > 0
    trainer.step(image, target, 0.5)
    torch.testing.assert_close(moments, early)
    assert not torch.equal(trainer.network.stem.conv.weight, weight)


def test_training_stores_a_network_that_loads(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = HeadOptions(shapes=((32, 32, 32),))
    monkeypatch.setattr("SegSRGANLib.training.brain.loop.HeadOptions", lambda: small)
    options = TrainingOptions(steps=3, batch=2, validation_batches=1)
    facts = train(Files(pack, pack, tmp_path), _CPU, options)
    assert facts["steps"] == 3
    assert 0 <= facts["worst_dice"] <= facts["mean_dice"] <= 1
    network = read_brain_extractor(tmp_path / FILE_NAME, _CPU)
    assert (tmp_path / FILE_NAME).stat().st_size < 2_000_000
    again = train(Files(pack, None, tmp_path / "more", tmp_path / FILE_NAME), _CPU, TrainingOptions(steps=0))
    assert again["steps"] == 0
    kept = read_brain_extractor(tmp_path / "more" / FILE_NAME, _CPU)
    torch.testing.assert_close(kept.state_dict(), network.state_dict())


def test_training_on_scans_used_again(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = HeadOptions(shapes=((32, 32, 32),))
    monkeypatch.setattr("SegSRGANLib.training.brain.loop.HeadOptions", lambda: small)
    facts = train(Files(pack, None, tmp_path), _CPU, TrainingOptions(steps=3, batch=2, fresh=1))
    assert facts["steps"] == 3
    assert np.isfinite(facts["loss"])
    read_brain_extractor(tmp_path / FILE_NAME, _CPU)
