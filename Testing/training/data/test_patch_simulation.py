"""Training patches: what must hold whatever is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from support.training_brains import brain

from SegSRGANLib.training.data.augmentation import (
    AugmentationConfig,
    deform,
    random_blur,
    random_orientation,
    strip_fluid,
    synthetic_intensity,
)
from SegSRGANLib.training.data.dataloader import PatchDataset, batches
from SegSRGANLib.training.data.patch_simulation import SimulationConfig, simulate_patch
from SegSRGANLib.training.data.subject import Subject

PLAIN = AugmentationConfig(
    gamma=(1.0, 1.0), tissue_shift=0.0, bias=0.0, scale=(1.0, 1.0), background=0.0, synthetic=0.0, deformation=0.0
)
WANTED = {"cortex": (5,)}
EVERYTHING = AugmentationConfig(synthetic=0.5, deformation=0.5, background=0.5)


def _subject(seed=0, side=32, spacing=0.8):
    intensity, labels = brain(seed, side)
    return Subject("brain", intensity / 100, labels, WANTED, spacing)


def _config(**changes):
    return SimulationConfig(**{"patch": 16, "factor": (2.0, 3.0), "augmentation": EVERYTHING, **changes})


def _rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(6))
def test_patches_have_their_shape_and_range(seed):
    x, target = simulate_patch(_subject(), _config(thickness_ratio=(0.7, 1.3), mask_overlap=0.3), _rng(seed))
    assert x.shape == (1, 16, 16, 16) and target.shape == (2, 16, 16, 16)
    assert x.dtype == target.dtype == torch.float32
    assert torch.isfinite(x).all() and target.min() >= 0 and target[1].max() <= 1


def test_each_class_has_its_channel():
    """In an untouched contrast every tissue has its own brightness: cortex 0.40, white matter 0.65, fluid 0.90."""
    intensity, labels = brain(0, 32)
    subject = Subject("brain", intensity / 100, labels, {"white matter": (1,), "fluid": (4,), "cortex": (5,)}, 0.8)
    _, target = simulate_patch(subject, _config(patch=32, augmentation=PLAIN), _rng(1))
    assert target.shape == (4, 32, 32, 32)
    for share, level in zip(target[1:], (0.65, 0.90, 0.40), strict=True):
        inside = target[0][share > 0.99]
        assert len(inside) > 100 and (inside.median() - level).abs() < 0.05


def test_the_same_seed_draws_the_same_patch():
    first, again, other = (simulate_patch(_subject(), _config(), _rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_without_coarsening_and_noise_the_input_is_the_target():
    config = _config(factor=(1.0, 1.0), inplane_factor=(1.0, 1.0), noise=0.0, augmentation=PLAIN)
    x, target = simulate_patch(_subject(), config, _rng())
    torch.testing.assert_close(x[0], target[0])


def test_thicker_slices_lose_more():
    def error(thickness):
        config = _config(zoom=(1.0, 1.0), inplane_factor=(1.0, 1.0), noise=0.0, augmentation=PLAIN)
        pairs = [simulate_patch(_subject(), config, _rng(seed), (thickness, thickness)) for seed in range(4)]
        return np.mean([(x[0] - target[0]).square().mean() for x, target in pairs])

    assert error(0.8) == 0  # slices as thin as the voxels: nothing to restore
    assert 0 < error(1.6) < error(3.2)


def test_slice_thickness_in_mm_follows_the_voxels_of_the_patch():
    """The same slices on voxels of half the size span twice as many voxels."""
    config = _config(zoom=(1.0, 1.0), anisotropic_zoom=0.0, inplane_factor=(1.0, 1.0), augmentation=PLAIN)
    coarse = simulate_patch(_subject(spacing=0.8), config, _rng(2), (1.6, 1.6))
    fine = simulate_patch(_subject(spacing=0.4), config, _rng(2), (0.8, 0.8))
    torch.testing.assert_close(coarse[0], fine[0])


def test_gaps_keep_more_detail_than_overlapping_slices():
    def sharpness(ratio):
        config = _config(
            zoom=(1.0, 1.0), inplane_factor=(1.0, 1.0), thickness_ratio=(ratio, ratio), noise=0.0, augmentation=PLAIN
        )
        return np.mean([simulate_patch(_subject(), config, _rng(seed))[0].std() for seed in range(4)])

    assert sharpness(0.5) > sharpness(1.5)


def test_crops_respect_the_mask_overlap():
    def smallest_share(overlap):
        config = _config(mask_overlap=overlap, zoom=(1.0, 1.0), factor=(1.0, 1.0), label_share=0.0, augmentation=PLAIN)
        patches = [simulate_patch(_subject(side=48), config, _rng(seed))[1][0] for seed in range(8)]
        return min((patch > 0.1).float().mean().item() for patch in patches)

    assert smallest_share(0.9) > 0.85 > smallest_share(0.0)


def test_an_undeformed_box_is_its_middle():
    volume = torch.rand(20, 22, 24)
    labels = torch.randint(0, 9, (20, 22, 24), dtype=torch.uint8)
    config = AugmentationConfig(rotation=0.0, elastic=0.0)
    image, tissue = deform(volume, labels, 12, config, _rng())
    middle = (slice(4, 16), slice(5, 17), slice(6, 18))
    torch.testing.assert_close(image, volume[middle], atol=1e-5, rtol=0)
    assert torch.equal(tissue, labels[middle])


def test_deformation_moves_image_and_labels_together():
    _, labels = brain(1, 40)
    volume = torch.from_numpy((labels == 5).astype(np.float32))
    image, tissue = deform(volume, torch.from_numpy(labels), 28, AugmentationConfig(elastic=3.0), _rng(5))
    inside = tissue == 5
    assert not torch.equal(image, volume[6:34, 6:34, 6:34])
    assert image[inside].min() >= 0.125 and image[~inside].max() <= 0.875  # linear and nearest agree on the voxel


def test_orientations_reach_all_48_symmetries():
    cube = np.arange(8.0).reshape(2, 2, 2)
    seen = {random_orientation(cube, cube, _rng(seed))[0].tobytes() for seed in range(600)}
    assert len(seen) == 48


def test_most_boxes_can_keep_their_orientation():
    cube = np.arange(8.0).reshape(2, 2, 2)
    seen = {random_orientation(cube, cube, _rng(seed), share=0.0)[1].tobytes() for seed in range(60)}
    assert seen == {cube.tobytes(), np.ascontiguousarray(cube[:, :, ::-1]).tobytes()}


def test_half_of_the_patches_have_the_usual_slices(monkeypatch):
    from SegSRGANLib.training.data import patch_simulation as simulation

    observe, factors = simulation._observe, []
    monkeypatch.setattr(
        simulation, "_observe", lambda i, factor, *rest: factors.append(factor) or observe(i, factor, *rest)
    )
    config = _config(factor=(4.0, 5.0), usual_factor=(2.0, 3.0))
    for seed in range(60):
        simulate_patch(_subject(), config, _rng(seed))
    assert 15 < sum(2 <= f <= 3 for f in factors) < 45 and all(2 <= f <= 3 or 4 <= f <= 5 for f in factors)


def test_synthetic_contrast_knows_the_labels_alone():
    _, labels = brain(0, 24)
    tissue = torch.from_numpy(labels)
    means = []
    for seed in range(12):
        image = synthetic_intensity(tissue, _rng(seed))
        assert image[:4, :4, :4].max() == 0 and image.min() >= 0  # a corner, far from the brain
        means.append([image[tissue == label].mean() for label in (1, 4)])
    order = np.sign(np.diff(np.array(means), axis=1))
    assert {-1.0, 1.0} == set(order.ravel())  # either tissue can be the brighter one


def test_stripping_ends_anywhere_between_the_fluid_and_a_voxel_inside_the_tissue():
    image, labels = (torch.from_numpy(v) for v in brain(0, 32))
    tissue = (labels != 4) & (labels > 0)
    core = torch.from_numpy(binary_erosion(tissue.numpy(), np.ones((3, 3, 3))))
    depths = set()
    for seed in range(30):
        stripped, left = strip_fluid(image, labels, (4,), _rng(seed))
        kept = left > 0
        assert torch.equal(left[kept], labels[kept]) and torch.equal(stripped[kept], image[kept])
        assert torch.all(stripped[~kept] == 0)
        if torch.equal(kept, core):
            depths.add(-1)
        else:
            assert torch.all(kept[tissue])
            depths.add(round(10 * (left == 4).sum().item() / (labels == 4).sum().item()))
    assert {-1, 0} < depths and max(depths) > 2  # inside the cortex, at it, and in the fluid


def test_a_blur_is_a_gaussian_of_another_width_along_each_axis_and_in_each_place():
    image = torch.zeros(25, 25, 25)
    image[12, 12, 12] = 1.0
    distance = torch.arange(25.0) - 12
    widths, untouched = [], 0
    for seed in range(40):
        blurred = random_blur(image, 1.5, _rng(seed))
        untouched += torch.equal(blurred, image)
        profiles = [blurred.sum(others) for others in ((1, 2), (0, 2), (0, 1))]
        assert blurred.min() >= 0 and max(profile.sum() for profile in profiles) < 1.3  # the strength varies slowly
        assert all(profile.argmax() == 12 for profile in profiles)
        widths.append([((profile * distance**2).sum() / profile.sum()).sqrt().item() for profile in profiles])
    assert 15 <= untouched <= 32  # half of the boxes, and where the strength is zero
    assert max(map(max, widths)) <= 1.55 and max(max(w) - min(w) for w in widths) > 0.3
    constant = torch.full((20, 20, 20), 0.7)
    assert all(
        torch.allclose(random_blur(constant, 1.5, _rng(s))[5:-5, 5:-5, 5:-5], constant[0, 0, 0]) for s in range(6)
    )


def test_a_hard_edge_ends_at_a_voxel_where_a_soft_one_fades():
    def faded(hard_edge):
        augmentation = replace(PLAIN, hard_edge=hard_edge)
        config = _config(augmentation=augmentation, zoom=(1.3, 1.3), anisotropic_zoom=0.0, patch=40)
        true = simulate_patch(_subject(side=40), config, _rng(1))[1][0]
        return ((true > 0.001) & (true < 0.3)).sum().item()  # the darkest tissue has 0.4

    assert faded(0.0) > 1000 and faded(1.0) < faded(0.0) / 20


def test_input_in_agreement_with_the_slices_is_nearer_to_the_truth():
    def error(consistent, noise=0.0):
        config = _config(consistent_input=consistent, noise=noise, zoom=(1.0, 1.0), factor=(3.0, 3.0), patch=24)
        pairs = [simulate_patch(_subject(), config, _rng(seed)) for seed in range(6)]
        return np.mean([(x[0] - target[0]).square().mean() for x, target in pairs])

    assert error(True) < 0.8 * error(False)
    assert error(True, 0.03) < error(False, 0.03)


def test_the_stream_is_the_same_for_any_share_and_start():
    dataset = PatchDataset([_subject(0), _subject(1)], _config(), None, seed=7)
    whole = batches(dataset, 0, 4, workers=0)
    first, second = next(whole)[0], next(whole)[0]
    assert torch.equal(next(batches(dataset, 1, 4, workers=0))[0], second)
    halves = [next(batches(dataset, 0, 4, workers=0, share=(rank, 2)))[0] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), first)
    assert torch.equal(next(batches(dataset, 0, 4, workers=2))[0], first)


def test_heavier_subjects_are_drawn_more_often():
    light, heavy = (
        _subject(0),
        Subject("dark", np.zeros_like(brain()[0]), brain()[1], WANTED, 0.8, weight=9.0),
    )
    config = _config(augmentation=PLAIN, label_share=0.0)
    dataset = PatchDataset([light, heavy], config, None, seed=0)
    dark = sum(bool(dataset[k][1][0].max() == 0) for k in range(40))
    assert 30 < dark < 40


@pytest.mark.parametrize(
    "values", [{"patch": 4}, {"factor": (3.0, 2.0)}, {"zoom": (0.0, 1.0)}, {"label_share": 1.5}, {"noise": -1.0}]
)
def test_impossible_simulations_are_refused(values):
    with pytest.raises(ValueError, match="patch|simulation"):
        SimulationConfig(**values)


@pytest.mark.parametrize("values", [{"synthetic": 2.0}, {"gamma": (0.0, 1.0)}, {"rotation": 40.0}, {"stripping": 0.5}])
def test_impossible_augmentations_are_refused(values):
    with pytest.raises(ValueError, match="augmentation"):
        AugmentationConfig(**values)
