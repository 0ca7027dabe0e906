"""Segmentation by registered atlases, on phantoms whose atlases are the same brain, jittered."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import optimize

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import CORTEX as LABEL
from SegSRGANLib.datasets.phantom import CSF, neonatal_phantom
from SegSRGANLib.io.volume import write_volume
from SegSRGANLib.multi_atlas import drawem, imapa
from SegSRGANLib.multi_atlas import majority_vote as voting
from SegSRGANLib.multi_atlas.alignment import resampled
from SegSRGANLib.multi_atlas.atlas import Atlas, read_atlases
from SegSRGANLib.multi_atlas.bias_polynomial import fit_bias
from SegSRGANLib.multi_atlas.deformation import warp_labels
from SegSRGANLib.multi_atlas.evidence import WarpedAtlas
from SegSRGANLib.multi_atlas.outer_fluid import lacks_outer_fluid
from SegSRGANLib.multi_atlas.partial_volume import CORTEX, FLUID, OUTSIDE, WHITE, Roles, correct_partial_volume
from SegSRGANLib.multi_atlas.patch_weights import simplex_weights
from SegSRGANLib.multi_atlas.priors import distances_between
from SegSRGANLib.multi_atlas.registration import RegistrationOptions, register_atlases
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import upsample
from SegSRGANLib.utils.progress import Cancelled

QUICK = ((4.0, 30), (2.0, 10))
SYSTEMS = {"imapa": imapa.segment, "drawem": drawem.segment}


def dice(found: sitk.Image, truth: np.ndarray) -> float:
    found = sitk.GetArrayFromImage(found) > 0
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


def jitter(grid: Grid, amplitude: float, seed: int, scale: float = 1.0) -> sitk.Transform:
    """A smooth random deformation of `amplitude` mm (root mean square along each axis) after a scaling."""
    rng = np.random.default_rng(seed)
    fields = []
    for _ in range(3):
        noise = grid.image(rng.standard_normal(grid.shape).astype(np.float32))
        smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(noise, 6.0))
        fields.append(amplitude * smooth / smooth.std())
    field = sitk.GetImageFromArray(np.stack(fields, -1).astype(np.float64), isVector=True)
    field.CopyInformation(grid.image(np.zeros(grid.shape, np.uint8)))
    affine = sitk.AffineTransform(3)
    affine.Scale(scale)
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])


def jittered(image: sitk.Image, labels: sitk.Image, amplitude: float, seed: int, scale: float = 1.0) -> WarpedAtlas:
    """The same brain, deformed, on another intensity scale and with noise."""
    grid, transform = Grid.of(image), jitter(Grid.of(image), amplitude, seed, scale)
    noise = np.random.default_rng(seed).normal(0, 15, grid.shape).astype(np.float32)
    values = sitk.GetArrayFromImage(resampled(image, grid, transform)) * (0.8 + 0.1 * seed) + noise
    return WarpedAtlas(f"sub-A{seed}", grid.image(values.astype(np.float32)), warp_labels(labels, grid, transform))


@pytest.fixture(scope="module")
def scene() -> dict:
    """Half a phantom at 1 mm with noise, its thick slices interpolated, and five registered atlases with errors."""
    phantom = neonatal_phantom(1.0, seed=3, noise=0.01)
    part = (slice(10, 50), slice(26, 74), slice(48, 74))
    image, labels = phantom.t2w[part], phantom.labels[part]
    thick = acquire(image, (1.0, 1.0, 4.0))
    warped = [jittered(image, labels, 0.8, seed) for seed in range(5)]
    return {
        "hr": image,
        "lr": upsample(thick, Grid.of(image)),
        "warped": warped,
        "mask": sitk.Cast(labels > 0, sitk.sitkUInt8),
        "truth": sitk.GetArrayFromImage(labels) == LABEL,
    }


@pytest.fixture(scope="module")
def figures(scene: dict) -> dict[str, float]:
    """Dice of every system on both volumes."""
    found = {"majority": dice(voting.majority(scene["warped"], LABEL), scene["truth"])}
    for (name, segment), volume in itertools.product(SYSTEMS.items(), ("hr", "lr")):
        result = segment(scene[volume], scene["warped"], LABEL, mask=scene["mask"])
        found[f"{name} {volume}"] = dice(result, scene["truth"])
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_beats_majority_voting(figures, name):
    assert figures[f"{name} hr"] > figures["majority"] + 0.02, figures


@pytest.mark.parametrize("name", SYSTEMS)
def test_sharp_volume_beats_interpolated_slices(figures, name):
    assert figures[f"{name} hr"] > figures[f"{name} lr"] + 0.02, figures


@pytest.mark.parametrize("name", SYSTEMS)
def test_result_lies_on_the_grid_inside_the_mask(scene, name):
    mask = sitk.GetArrayFromImage(scene["mask"])
    mask[:, :24] = 0
    part = Grid.of(scene["hr"]).image(mask)
    found = SYSTEMS[name](scene["hr"], scene["warped"], LABEL, mask=part)
    values = sitk.GetArrayFromImage(found)
    assert Grid.of(found) == Grid.of(scene["hr"]) and found.GetPixelID() == sitk.sitkUInt8
    assert set(np.unique(values)) == {0, 1} and not values[mask == 0].any()


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_cannot_be_segmented_is_said_in_one_sentence(scene, name):
    segment, hr, warped = SYSTEMS[name], scene["hr"], scene["warped"]
    with pytest.raises(ValueError, match="no registered atlas"):
        segment(hr, [], LABEL)
    with pytest.raises(ValueError, match="No atlas has the label 77; their labels are 0, 1"):
        segment(hr, warped, 77)
    with pytest.raises(ValueError, match="mask is empty"):
        segment(hr, warped, LABEL, mask=scene["mask"] * 0)
    with pytest.raises(ValueError, match="another grid"):
        segment(hr, warped, LABEL, mask=scene["mask"][:, :, 1:])
    with pytest.raises(ValueError, match="sub-A0 is on another grid"):
        segment(hr[:, :, 1:], warped, LABEL)
    with pytest.raises(Cancelled):
        segment(hr, warped, LABEL, should_stop=lambda: True)


def test_majority_needs_more_than_half():
    def atlas(values: list[int]) -> WarpedAtlas:
        image = sitk.GetImageFromArray(np.array(values, np.uint8).reshape(1, 1, -1))
        return WarpedAtlas("a", sitk.Cast(image, sitk.sitkFloat32), image)

    four = [atlas([5, 5, 1]), atlas([5, 5, 0]), atlas([5, 2, 5]), atlas([0, 2, 0])]
    assert sitk.GetArrayFromImage(voting.majority(four, 5)).ravel().tolist() == [1, 0, 0]


def test_weights_are_the_best_convex_combination():
    rng = np.random.default_rng(1)
    for patches in (rng.normal(size=(6, 27)), rng.normal(size=(6, 27)) + 2, np.ones((6, 27))):
        gram = patches @ patches.T
        found = simplex_weights(torch.from_numpy(gram)[None], 0.05)[0].numpy()
        root = np.linalg.cholesky(gram + 0.05 * np.trace(gram) * np.eye(6))
        best = optimize.nnls(root.T, np.linalg.solve(root, np.ones(6)))[0]
        np.testing.assert_allclose(found.sum(), 1, atol=1e-6)
        np.testing.assert_allclose(found, best / best.sum(), atol=1e-3)


def test_imapa_is_its_equations(monkeypatch):
    """One voxel after another, by loops and a generic optimizer, for two iterations."""
    rng = np.random.default_rng(0)
    shape, options = (4, 5, 4), imapa.ImapaOptions(neighbours=6, alphas=(0.0, 0.4), ridge=0.05)
    image = rng.uniform(1, 2, shape).astype(np.float32)
    labels = rng.integers(1, 3, (2, *shape)).astype(np.uint8)
    images = (image + rng.normal(0, 0.2, labels.shape)).astype(np.float32)
    monkeypatch.setattr(imapa, "matched_images", lambda evidence: evidence.images)
    warped = [
        WarpedAtlas("a", sitk.GetImageFromArray(i), sitk.GetImageFromArray(s))
        for i, s in zip(images, labels, strict=True)
    ]
    found = sitk.GetArrayFromImage(imapa.segment(sitk.GetImageFromArray(image), warped, 2, options))
    expected = _imapa_by_loops(
        image / np.percentile(image, 99), images / np.percentile(image, 99), labels == 2, options
    )
    clear = np.abs(expected - 0.5) > 0.01
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found[clear], expected[clear] > 0.5)


def _imapa_by_loops(image, images, labels, options):
    image = np.pad(image, 2, mode="edge")
    images, labels = (np.pad(v.astype(float), [(0, 0)] + [(2, 2)] * 3, mode="edge") for v in (images, labels))
    estimate = labels.mean(0)
    steps = list(itertools.product((-1, 0, 1), repeat=3))

    def patch(volume, centre):
        return np.array([volume[tuple(np.add(centre, step))] for step in steps])

    for alpha in options.alphas:
        updated = estimate.copy()
        for voxel in itertools.product(*(range(2, n - 2) for n in image.shape)):
            own = np.concatenate([(1 - alpha) ** 0.5 * patch(image, voxel), alpha**0.5 * patch(estimate, voxel)])
            rows, centres = [], []
            for atlas, step in itertools.product(range(len(images)), steps):
                there = tuple(np.add(voxel, step))
                example = (1 - alpha) ** 0.5 * patch(images[atlas], there), alpha**0.5 * patch(labels[atlas], there)
                rows.append(np.concatenate(example) - own)
                centres.append(labels[atlas][there])
            rows, centres = np.array(rows), np.array(centres)
            best = np.argsort((rows**2).sum(1))[: options.neighbours]
            gram = rows[best] @ rows[best].T
            gram += options.ridge * np.trace(gram) * np.eye(len(best))
            weights = optimize.nnls(np.linalg.cholesky(gram).T, np.linalg.solve(np.linalg.cholesky(gram), np.ones(6)))[
                0
            ]
            updated[voxel] = weights @ centres[best] / weights.sum()
        estimate = updated
    return estimate[2:-2, 2:-2, 2:-2]


def test_false_white_matter_between_fluid_and_cortex_goes():
    """Along x: white, cortex, a film that looks like white matter, CSF."""
    classes = np.repeat([[[1] * 4 + [2] * 2 + [1] + [3] * 3]], 6, 0).repeat(6, 1)
    classes[0, :, 4:6] = 1  # joins the film to the white matter, so that it is no island
    posteriors = np.stack([np.where(classes == k, 0.85, 0.05) for k in range(4)]).astype(np.float32)
    before = posteriors.copy()
    roles = Roles(np.array([OUTSIDE, WHITE, CORTEX, FLUID]))
    correct_partial_volume(posteriors, posteriors.copy(), roles, np.ones(classes.shape, bool))
    film = posteriors[:, 1:, :, 6]
    assert (film[1] < 0.5).all() and (film[2:] > 0.2).all()
    np.testing.assert_allclose(posteriors.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(np.delete(posteriors, 6, 3)[:, 2:], np.delete(before, 6, 3)[:, 2:])


def test_bias_is_recovered():
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (14, 16, 18)), indexing="ij")
    field = 1 + 0.2 * x - 0.1 * y * z + 0.15 * x**2
    expected = rng.uniform(500, 2000, field.shape)
    weights = (x < 0.8) * rng.uniform(0.5, 2, x.shape)
    found = fit_bias(field * expected, expected, weights, 3)
    np.testing.assert_allclose(found * field[weights > 0].mean(), field, rtol=1e-4)


def test_a_bias_field_costs_drawem_little(scene, figures):
    depth, height, width = Grid.of(scene["hr"]).shape
    ramp = np.broadcast_to(np.linspace(0.75, 1.25, width, dtype=np.float32), (depth, height, width))
    biased = Grid.of(scene["hr"]).image(sitk.GetArrayFromImage(scene["hr"]) * ramp)
    without = drawem.DrawEmOptions(bias_degree=0)
    corrected, left = (
        dice(drawem.segment(biased, scene["warped"], LABEL, options, scene["mask"]), scene["truth"])
        for options in (drawem.DrawEmOptions(), without)
    )
    assert corrected > left + 0.01 and corrected > figures["drawem hr"] - 0.03


def test_tissues_that_never_touch_are_distant():
    labels = np.repeat([1, 1, 2, 2, 3, 3], 4).reshape(1, 6, 2, 2)
    expected = [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert distances_between(labels, np.array([1, 2, 3])).tolist() == expected


@pytest.fixture(scope="module")
def atlases() -> list[Atlas]:
    """Three of the subject's brain, the better the smaller their number, and two of other brains' folds."""
    phantom = neonatal_phantom(2.0, seed=0)
    found = []
    for seed, (amplitude, scale) in enumerate([(1.0, 1.05), (2.0, 0.9), (3.0, 1.15)]):
        warped = jittered(phantom.t2w, phantom.labels, amplitude, seed + 1, scale)
        found.append(Atlas(f"sub-A{seed}", warped.image, warped.labels, None))
    return found


def test_registration_brings_the_tissues_into_place(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    truth = sitk.GetArrayFromImage(phantom.labels)
    seen = []
    warped = register_atlases(
        phantom.t2w,
        phantom.mask,
        atlases,
        RegistrationOptions(atlases=2, levels=QUICK),
        lambda fraction, _: seen.append(fraction),
    )
    assert [atlas.name for atlas in warped] == ["sub-A0", "sub-A1"]
    assert seen == sorted(seen) and seen[-1] == 1
    for atlas, original in zip(warped, atlases[:2], strict=True):
        assert Grid.of(atlas.image) == Grid.of(atlas.labels) == Grid.of(phantom.t2w)
        for label, least in ((1, 0.8), (LABEL, 0.65), (CSF, 0.7)):
            before = dice(original.labels == label, truth == label)
            after = dice(atlas.labels == label, truth == label)
            assert after > max(before + 0.1, least), (atlas.name, label, before, after)


def test_brain_without_outer_fluid_is_matched_without_it(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    bare = sitk.Cast((phantom.labels > 0) & (phantom.labels != CSF), sitk.sitkUInt8)
    truth = sitk.GetArrayFromImage(phantom.labels)
    found = [
        dice(
            register_atlases(phantom.t2w, bare, atlases, RegistrationOptions(atlases=1, levels=QUICK[:1], fluid=fluid))[
                0
            ].labels
            == 1,
            truth == 1,
        )
        for fluid in ((CSF,), ())
    ]
    assert found[0] > found[1] + 0.05, found


def test_a_brain_that_fills_its_volume_keeps_the_fluid_of_the_atlases():
    """Where no surface is seen, nothing is known of what lies under it."""
    ball = np.zeros((24,) * 3, np.float32)
    ball[4:20, 4:20, 4:20] = 2.0
    core = ball.copy()
    core[5:19, 5:19, 5:19] = 1.0  # most of the brain
    full, whole, bare = (sitk.GetImageFromArray(array) for array in (np.full_like(ball, 1.5), core, ball / 2))
    assert not lacks_outer_fluid(full, whole, bare)
    assert lacks_outer_fluid(bare, whole, bare)
    assert not lacks_outer_fluid(whole, whole, bare)


def test_registration_says_what_is_wrong(atlases):
    phantom = neonatal_phantom(2.0, seed=0)
    with pytest.raises(ValueError, match="no atlas to register"):
        register_atlases(phantom.t2w, phantom.mask, [])
    with pytest.raises(ValueError, match="mask is empty"):
        register_atlases(phantom.t2w, phantom.mask * 0, atlases)
    with pytest.raises(ValueError, match="another grid"):
        register_atlases(phantom.t2w, phantom.mask[1:], atlases)
    with pytest.raises(ValueError, match="cannot be aligned"):
        register_atlases(phantom.t2w * 0, phantom.mask, atlases[:1])
    with pytest.raises(ValueError, match="sub-B has no labels"):
        register_atlases(phantom.t2w, None, [Atlas("sub-B", phantom.t2w, phantom.labels * 0)])
    with pytest.raises(Cancelled):
        register_atlases(phantom.t2w, None, atlases, should_stop=lambda: True)
    with pytest.raises(ValueError, match="coarse to fine"):
        RegistrationOptions(levels=((0.8, 5), (3.2, 5)))


def test_atlases_are_read_with_their_age(tmp_path):
    phantom = neonatal_phantom(4.0)
    for name in ("sub-STA30", "sub-01", "sub-CC00050XX01", "sub-T"):
        folder = tmp_path / name / "anat"
        write_volume(phantom.t2w, folder / f"{name}_T2w.nii.gz")
        write_volume(phantom.labels, folder / f"{name}_dseg.nii.gz")
    rows = ["participant_id\tBase\tscan_age", "sub-T\tTest\t30", "sub-01\t\t36.5", "sub-STA30\t\tn/a"]
    (tmp_path / "participants.tsv").write_text("\n".join(rows))
    found = {atlas.name: atlas.age for atlas in read_atlases(tmp_path)}
    assert found == {"sub-01": 36.5, "sub-CC00050XX01": None, "sub-STA30": 30.0}
    table = tmp_path / "list.csv"
    table.write_text("HR_image,Label_image\nsub-01/anat/sub-01_T2w.nii.gz,sub-01/anat/sub-01_dseg.nii.gz\n")
    assert [(atlas.name, atlas.age) for atlas in read_atlases(table)] == [("sub-01", None)]
    (tmp_path / "participants.tsv").write_text("participant_id\tscan_age\nsub-01\told")
    with pytest.raises(ValueError, match="scan_age must be a number of weeks, not 'old'"):
        read_atlases(tmp_path)
