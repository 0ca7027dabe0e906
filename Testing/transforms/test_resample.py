"""Spline interpolation equals independent implementations."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from support.grids import awkward_grids

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.transforms.resample import INTERPOLATORS, resample_labels, spline_matrix, upsample

SINCS = {"lanczos", "hamming", "cosine", "welch", "blackman"}

GRIDS = awkward_grids()


def _random(grid, seed=0):
    return grid.image(np.random.default_rng(seed).random(grid.shape, np.float32))


@pytest.mark.parametrize("inputs", [2, 3, 7, 40])
def test_matrix_equals_scipy(inputs):
    samples = np.random.default_rng(inputs).random(inputs)
    places = np.linspace(-0.5, inputs - 0.5, 57)
    expected = ndimage.map_coordinates(samples, [places], order=3, mode="mirror")
    assert np.allclose(spline_matrix(inputs, places) @ samples, expected, atol=1e-10)


def test_one_sample_is_repeated():
    assert np.array_equal(spline_matrix(1, np.array([-0.5, 0.0, 0.4])), np.ones((3, 1)))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_volume_equals_simpleitk(grid):
    image, output = _random(grid), output_grid(grid, 0.5)
    reference = sitk.Image(output.size, sitk.sitkFloat32)
    reference.SetSpacing(output.spacing)
    reference.SetOrigin(output.origin)
    reference.SetDirection(output.direction)
    expected = sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), sitk.sitkBSpline))
    inside = (slice(5, -5),) * 3  # SimpleITK truncates its recursive filter at the border and does not extrapolate
    assert np.allclose(sitk.GetArrayFromImage(upsample(image, output))[inside], expected[inside], atol=2e-4)


def test_own_grid_is_the_identity():
    image = _random(GRIDS["oblique"])
    assert np.array_equal(sitk.GetArrayFromImage(upsample(image, Grid.of(image))), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("interpolator", INTERPOLATORS)
def test_constant_stays_constant(interpolator):
    grid = Grid((12, 10, 6), (0.8, 0.8, 2.0), (1.0, 2.0, 3.0), GRIDS["left-handed"].direction)
    flat = grid.image(np.full(grid.shape, 3.0, np.float32))
    result = sitk.GetArrayFromImage(upsample(flat, output_grid(grid, 0.6), interpolator))
    assert np.allclose(result[1:-1, 1:-1, 1:-1], 3.0, atol=5e-2 if interpolator in SINCS else 1e-4)


def test_the_volume_of_an_ellipsoid_of_labels_is_kept():
    grid = Grid((40, 40, 40), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    index = np.indices(grid.shape) - 19.5
    ball = grid.image((np.einsum("kzyx,kzyx->zyx", index, index) < 15**2).astype(np.uint8))
    finer = resample_labels(ball, output_grid(grid, 0.2))
    volumes = [sitk.GetArrayViewFromImage(v).sum() * np.prod(v.GetSpacing()) for v in (ball, finer)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.01)
    assert finer.GetPixelID() == sitk.sitkUInt8


def test_unknown_interpolator_and_other_axes_are_refused():
    image = _random(GRIDS["oblique"])
    with pytest.raises(ValueError, match="bspline"):
        upsample(image, Grid.of(image), "cubic")
    with pytest.raises(ValueError, match="axes"):
        upsample(image, GRIDS["left-handed"])
