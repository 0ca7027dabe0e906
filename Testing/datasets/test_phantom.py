"""The phantom is one believable, asymmetric brain, the same at every voxel size."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from SegSRGANLib.datasets.implicit_shapes import (
    coverage,
    ellipsoid,
    intersection,
    random_waves,
    smooth_noise,
    tube,
    union,
)
from SegSRGANLib.datasets.phantom import (
    BRAINSTEM,
    CALLOSUM,
    CEREBELLUM,
    CORTEX,
    CSF,
    DEEP_GREY,
    INTENSITY,
    VENTRICLES,
    WHITE_MATTER,
    neonatal_phantom,
)

SPACING = 1.0


@pytest.fixture(scope="module")
def phantom():
    return neonatal_phantom(SPACING)


@pytest.fixture(scope="module")
def t2w(phantom):
    return sitk.GetArrayFromImage(phantom.t2w)


@pytest.fixture(scope="module")
def labels(phantom):
    return sitk.GetArrayFromImage(phantom.labels)


def _points(n=25, spacing=1.0):
    axis = ((np.arange(n) - n // 2) * spacing).astype(np.float32)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z


# ------------------------------------------------------------------------------------------------- the phantom


def test_images_share_one_grid_around_the_origin(phantom):
    for image in (phantom.t2w, phantom.labels, phantom.mask):
        assert image.GetSize() == (96, 112, 96)
        assert image.GetSpacing() == (SPACING,) * 3
        centre = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
        assert centre == pytest.approx((0, 0, 0), abs=1e-6)
    assert phantom.t2w.GetPixelID() == sitk.sitkFloat32
    assert phantom.labels.GetPixelID() == phantom.mask.GetPixelID() == sitk.sitkUInt8


def test_mask_is_every_label(phantom, labels):
    np.testing.assert_array_equal(sitk.GetArrayFromImage(phantom.mask), labels > 0)


def test_brain_lies_inside_the_field_of_view(labels):
    inside = np.argwhere(labels > 0)
    assert inside.min() >= 2
    assert (np.array(labels.shape) - 1 - inside.max(0)).min() >= 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_volumes_are_those_of_a_newborn(seed):
    """mL; the atlas at 36 weeks scaled to this head, with wide margins."""
    labels = sitk.GetArrayFromImage(neonatal_phantom(SPACING, seed).labels)
    volume = np.bincount(labels.ravel(), minlength=9) * SPACING**3 / 1000
    assert 330 < volume[1:].sum() < 420
    limits = {
        WHITE_MATTER: (80, 140),
        VENTRICLES: (3, 10),
        CEREBELLUM: (12, 22),
        CSF: (70, 130),
        CORTEX: (75, 125),
        DEEP_GREY: (10, 20),
        BRAINSTEM: (4, 9),
        CALLOSUM: (0.5, 2.5),
    }
    for label, (low, high) in limits.items():
        assert low < volume[label] < high, (label, volume[label])


def test_structures_lie_where_they_belong(labels):
    """LPS: y grows backwards, z upwards."""

    def middle(label):
        return np.argwhere(labels == label).mean(0)  # z, y, x

    assert middle(CEREBELLUM)[0] < middle(DEEP_GREY)[0] - 10 < middle(CALLOSUM)[0]
    assert middle(CEREBELLUM)[1] > middle(DEEP_GREY)[1] + 10
    assert middle(BRAINSTEM)[0] < middle(DEEP_GREY)[0] - 10
    assert middle(CEREBELLUM)[1] > middle(BRAINSTEM)[1]
    for label in (WHITE_MATTER, CORTEX, DEEP_GREY, BRAINSTEM, CALLOSUM):
        assert middle(label)[2] == pytest.approx(labels.shape[2] / 2, abs=2.5)


def test_brain_is_one_piece(labels):
    parts, count = ndimage.label(labels > 0)
    assert np.bincount(parts.ravel())[1:].max() > 0.999 * (labels > 0).sum()
    tissue = np.isin(labels, (WHITE_MATTER, CORTEX, DEEP_GREY, CALLOSUM))
    parts, count = ndimage.label(tissue)
    assert np.bincount(parts.ravel())[1:].max() > 0.98 * tissue.sum()


def test_same_seed_same_brain_other_seed_other_brain():
    first, again, other = (neonatal_phantom(2.0, seed, noise=0.02) for seed in (3, 3, 4))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(first.t2w), sitk.GetArrayFromImage(again.t2w))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(first.labels), sitk.GetArrayFromImage(again.labels))
    cortex = [sitk.GetArrayFromImage(p.labels) == CORTEX for p in (first, other)]
    assert (cortex[0] & cortex[1]).sum() < 0.8 * cortex[0].sum()


def test_voxel_size_does_not_change_the_brain(phantom, labels):
    coarse = sitk.GetArrayFromImage(neonatal_phantom(2.0).labels)
    for label in (WHITE_MATTER, CEREBELLUM, CORTEX, DEEP_GREY, BRAINSTEM):
        fine_at, coarse_at = np.argwhere(labels == label), np.argwhere(coarse == label)
        np.testing.assert_allclose(fine_at.mean(0) + 0.5, 2 * (coarse_at.mean(0) + 0.5), atol=0.8)
        assert 8 * len(coarse_at) == pytest.approx(len(fine_at), rel=0.25)
    inside = (labels > 0).reshape(48, 2, 56, 2, 48, 2).mean((1, 3, 5)) > 0.5
    assert 2 * (inside & (coarse > 0)).sum() > 0.97 * (inside.sum() + (coarse > 0).sum())


def test_mirror_image_is_told_apart(t2w, labels):
    cortex = labels == CORTEX
    overlap = (cortex & cortex[:, :, ::-1]).sum() / cortex.sum()
    assert overlap < 0.75
    inside = labels > 0
    assert np.abs(t2w - t2w[:, :, ::-1])[inside].mean() > 0.08 * t2w[inside].mean()


# --------------------------------------------------------------------------------------------- cortex and folds


def test_cortex_is_a_band_of_constant_thickness(labels):
    """From the white matter's surface the nearest CSF is one cortical thickness away."""
    csf = ndimage.distance_transform_edt(labels != CSF) * SPACING
    cortex = labels == CORTEX
    border = (labels == WHITE_MATTER) & ndimage.binary_dilation(cortex)
    deep = ndimage.distance_transform_edt(~np.isin(labels, (VENTRICLES, DEEP_GREY, CALLOSUM, BRAINSTEM))) > 6
    depth = csf[border & deep]
    assert 2.0 < np.median(depth) < 3.0  # 2 mm, and the centre of a voxel lies behind its face
    assert np.percentile(depth, 90) - np.percentile(depth, 10) < 1.3
    assert np.percentile(csf[cortex], 99) < 3.2
    assert (cortex & deep & (csf <= 1)).sum() > 0.3 * cortex.sum()


def test_white_matter_touches_no_outer_csf(labels):
    touching = (labels == WHITE_MATTER) & ndimage.binary_dilation(labels == CSF)
    assert touching.sum() < 0.01 * (labels == WHITE_MATTER).sum()


def test_cortex_is_folded(labels):
    """Gyrification: the pial surface is much larger than the smooth envelope around the hemispheres."""
    hemispheres = np.isin(labels, (WHITE_MATTER, CORTEX, DEEP_GREY, VENTRICLES, CALLOSUM))
    envelope = ndimage.binary_erosion(ndimage.binary_dilation(hemispheres, iterations=6), iterations=6)

    def faces(shape):
        return sum(np.count_nonzero(np.diff(shape.astype(np.int8), axis=axis)) for axis in range(3))

    assert 1.5 < faces(hemispheres) / faces(envelope) < 3.5


def test_sulci_are_as_far_apart_as_in_life(labels):
    """Just under the surface, a walk around the head crosses a sulcus every 8 to 16 mm."""
    head = ndimage.distance_transform_edt(labels > 0) * SPACING
    spacings = []
    for k in range(55, 75, 2):  # axial slices above the Sylvian fissure
        ring = np.abs(head[k] - 7) < 0.5
        rows, columns = np.nonzero(ring)
        order = np.argsort(np.arctan2(rows - labels.shape[1] / 2, columns - labels.shape[2] / 2))
        is_csf = labels[k][rows[order], columns[order]] == CSF
        radius = np.hypot(rows - rows.mean(), columns - columns.mean()).mean()
        spacings.append(2 * np.pi * radius / max(np.count_nonzero(np.diff(is_csf.astype(int)) == 1), 1))
    assert 7 < np.median(spacings) < 18


# --------------------------------------------------------------------------------------------------- intensities


def test_contrast_is_neonatal(t2w, labels):
    """CSF is brightest and white matter, not yet myelinated, is brighter than grey."""

    def inner(label):
        return np.median(t2w[ndimage.binary_erosion(labels == label)])

    assert inner(VENTRICLES) > 1.3 * inner(WHITE_MATTER)
    assert inner(CSF) > 1.2 * inner(WHITE_MATTER)
    assert inner(WHITE_MATTER) > 1.1 * inner(DEEP_GREY)
    assert inner(WHITE_MATTER) > 1.2 * inner(CORTEX)
    assert inner(WHITE_MATTER) > inner(CEREBELLUM) > inner(BRAINSTEM)
    for label in (WHITE_MATTER, CORTEX, BRAINSTEM):
        assert inner(label) == pytest.approx(INTENSITY[label], rel=0.12)


def test_borders_have_partial_volume(t2w, labels):
    """Pial voxels of the cortex hold some CSF, so they are brighter than the middle of the band."""
    cortex = labels == CORTEX
    pial = cortex & ndimage.binary_dilation(labels == CSF)
    inner = cortex & ~ndimage.binary_dilation(~cortex)
    assert t2w[pial].mean() > 1.05 * t2w[inner].mean()
    steps = np.concatenate([np.abs(np.diff(t2w, axis=axis)).ravel() for axis in range(3)])
    assert steps.max() < 0.8 * t2w.max()


def test_tissue_has_texture_and_air_has_none(t2w, labels):
    white = ndimage.binary_erosion(labels == WHITE_MATTER, iterations=2)
    assert 0.01 < t2w[white].std() / t2w[white].mean() < 0.12
    assert t2w.min() >= 0
    air = ndimage.distance_transform_edt(labels == 0)
    assert t2w[air > 2].max() < 0.02 * t2w.max()
    assert t2w[air > 6].max() == 0


def test_noise_is_rician():
    """In air a magnitude image follows the Rayleigh distribution: mean sigma sqrt(pi / 2)."""
    clean, noisy = neonatal_phantom(2.0), neonatal_phantom(2.0, noise=0.05)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(clean.labels), sitk.GetArrayFromImage(noisy.labels))
    before, after = sitk.GetArrayFromImage(clean.t2w), sitk.GetArrayFromImage(noisy.t2w)
    sigma = 0.05 * INTENSITY[VENTRICLES]
    assert after[before == 0].mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    bright = before > 10 * sigma
    assert (after - before)[bright].std() == pytest.approx(sigma, rel=0.03)
    assert after.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": 0.0}, "between 0.3 and 4 mm, not 0.0"),
        ({"spacing": 9.0}, "not 9.0"),
        ({"spacing": float("nan")}, "not nan"),
        ({"noise": -0.1}, "0 or more, not -0.1"),
        ({"noise": float("inf")}, "not inf"),
    ],
)
def test_impossible_phantoms_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        neonatal_phantom(**arguments)


# ---------------------------------------------------------------------------------------------------- its clay


def test_ellipsoid_is_a_signed_distance_at_its_surface():
    points = _points(33, 0.5)
    sphere = ellipsoid(points, (1, -0.5, 0.5), (5, 5, 5))
    radius = np.sqrt(sum((p - c) ** 2 for p, c in zip(points, (1, -0.5, 0.5), strict=True)))
    np.testing.assert_allclose(sphere[radius > 1], (radius - 5)[radius > 1], atol=1e-4)
    flat = ellipsoid(points, (0, 0, 0), (6, 3, 4))
    level = (points[0] / 6) ** 2 + (points[1] / 3) ** 2 + (points[2] / 4) ** 2
    np.testing.assert_array_equal(flat < 0, level < 1)
    gradient = np.sqrt(sum(g**2 for g in np.gradient(flat, 0.5)))
    assert gradient[np.abs(flat) < 0.5].mean() == pytest.approx(1, abs=0.05)


def test_coverage_counts_parts_of_voxels():
    """A sphere covers the same volume wherever it lies between the voxels, while a count of voxel centres jumps."""
    points, radius = _points(), 8.0
    spheres = [ellipsoid(points, centre, (radius,) * 3) for centre in np.random.default_rng(0).random((20, 3))]
    covered = np.array([coverage(sphere, 1.0).sum() for sphere in spheres]) / (4 / 3 * np.pi * radius**3)
    counted = np.array([np.count_nonzero(sphere < 0) for sphere in spheres]) / (4 / 3 * np.pi * radius**3)
    np.testing.assert_allclose(covered, 1, atol=0.008)
    assert covered.std() < 0.2 * counted.std()
    assert coverage(np.array([-3.0, 0.0, 3.0]), 1.0).tolist() == [1, 0.5, 0]


def test_superellipsoid_fills_its_corners_more():
    points = _points()
    assert (ellipsoid(points, (0, 0, 0), (8, 8, 8), 4) < 0).sum() > 1.3 * (
        ellipsoid(points, (0, 0, 0), (8,) * 3) < 0
    ).sum()


def test_tube_is_the_distance_to_its_axis():
    x, y, z = _points()
    straight = tube((x, y, z), [(-6, 0, 0, 2), (6, 0, 0, 2)])
    beyond = np.maximum(np.abs(x) - 6, 0)
    np.testing.assert_allclose(straight, np.sqrt(beyond**2 + y**2 + z**2) - 2, atol=1e-4)
    cone = tube((x, y, z), [(-6, 0, 0, 1), (6, 0, 0, 4)])
    assert cone[12, 12, 12] == pytest.approx(-2.5)
    assert cone[12, 12, 18] == pytest.approx(-4)


def test_union_and_intersection_round_only_near_the_crease():
    x, y, _ = _points()
    first, second = np.abs(x) - 4, np.abs(y) - 4
    far = np.abs(first - second) >= 2
    both, either = intersection(first, second, 2), union(first, second, 2)
    np.testing.assert_allclose(both[far], np.maximum(first, second)[far])
    np.testing.assert_allclose(either[far], np.minimum(first, second)[far])
    equal = first == second
    np.testing.assert_allclose(either[equal], first[equal] - 0.5)  # a quarter of the blend
    np.testing.assert_allclose(both[equal], first[equal] + 0.5)


def test_noise_is_a_function_of_position():
    """Its values at shared positions do not depend on the sampling, and its spread is about 1."""
    fine, coarse = (np.arange(-24, 24.1, step, dtype=np.float32) for step in (0.5, 2.0))
    fields = [smooth_noise((axis,) * 3, 12, np.random.default_rng(1)) for axis in (fine, coarse)]
    np.testing.assert_allclose(fields[0][::4, ::4, ::4], fields[1], atol=1e-4)
    assert 0.7 < np.std(fields[0]) < 1.3
    lagged = [np.corrcoef(fields[0][:-lag].ravel(), fields[0][lag:].ravel())[0, 1] for lag in (12, 24)]
    np.testing.assert_allclose(lagged, (1191 / 2416, 120 / 2416), atol=0.1)  # one knot and two: a B-spline of degree 7


def test_waves_have_their_wavelength():
    """Along a line an isotropic random wave crosses zero 2 / sqrt(3) times per wavelength (Rice's formula)."""
    rng = np.random.default_rng(0)
    line = np.zeros((40000, 3), np.float32)
    line[:, 1] = np.arange(40000) * 0.25
    crossings = []
    for _ in range(8):
        wave = random_waves(line, 16.0, rng)
        crossings.append(np.count_nonzero(np.diff(np.sign(wave)) != 0) / (10000 / 16))
    assert np.mean(crossings) == pytest.approx(2 / np.sqrt(3), rel=0.1)
    assert wave.std() == pytest.approx(1, rel=0.25)
