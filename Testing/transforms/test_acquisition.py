"""The observation model: mass, centroid, slice profile."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.grids import awkward_grids, blob, centroid

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.transforms.acquisition import acquire, sampling_matrix

GRIDS = awkward_grids()


def _fine(grid):
    return output_grid(grid, 0.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_mass_and_centroid_are_preserved(grid, axis):
    fine = blob(_fine(grid), sigma=2.2)
    spacing = [0.5, 0.5, 0.5]
    spacing[axis] = 1.75
    thick = acquire(fine, spacing)
    volumes = [sitk.GetArrayFromImage(v).sum() * np.prod(v.GetSpacing()) for v in (fine, thick)]
    assert volumes[1] == pytest.approx(volumes[0], rel=2e-3)
    assert np.linalg.norm(centroid(thick) - centroid(fine)) < 0.01


@pytest.mark.parametrize("thickness", [1.5, 2.4, 3.0])
def test_slice_profile_has_the_thickness_as_fwhm(thickness):
    """The response to a thin bright sheet, as the sheet moves under one slice, is the slice profile."""
    step, inputs = 0.1, 401
    profile = sampling_matrix(inputs, 1, inputs, thickness / step)[0]
    above = np.flatnonzero(profile >= profile.max() / 2)
    left = np.interp(0.5, profile[above[0] - 1 : above[0] + 1] / profile.max(), [above[0] - 1, above[0]])
    right = np.interp(-0.5, -profile[above[-1] : above[-1] + 2] / profile.max(), [above[-1], above[-1] + 1])
    assert (right - left) * step == pytest.approx(thickness, rel=0.01)


def test_gaussian_widths_add_up():
    """A Gaussian of FWHM w seen through slices of FWHM t has FWHM sqrt(w^2 + t^2)."""
    grid = Grid((9, 9, 160), (0.5, 0.5, 0.25), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    sigma, thickness = 2.0, 2.0
    thick = acquire(blob(grid, sigma), (0.5, 0.5, thickness))
    profile = sitk.GetArrayFromImage(thick)[:, 4, 4].astype(float)
    z = np.arange(len(profile)) * thickness
    mean = (z * profile).sum() / profile.sum()
    width = np.sqrt(((z - mean) ** 2 * profile).sum() / profile.sum())
    assert width == pytest.approx(np.hypot(sigma, thickness / 2.3548), rel=0.01)


def test_constant_stays_constant():
    grid = Grid((10, 11, 12), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    thick = acquire(grid.image(np.full(grid.shape, 7.0, np.float32)), (0.5, 0.8, 1.7))
    assert np.allclose(sitk.GetArrayFromImage(thick), 7.0, atol=1e-5)


def test_a_slice_thinner_than_a_voxel_is_the_nearest_voxels():
    """Also where its centre lies between two of them, far away in units of its own width."""
    assert np.allclose(sampling_matrix(4, 2, 2.0, 0.01), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    assert np.allclose(sampling_matrix(3, 1, 3.0, 0.01), [[0, 1, 0]])


def test_gaps_leave_other_slices_than_thick_ones():
    fine = blob(_fine(GRIDS["canonical"]), sigma=2.2)
    thick, gaps = (acquire(fine, (0.5, 0.5, 3.0), thickness=(0.5, 0.5, t)) for t in (3.0, 1.5))
    assert sitk.GetArrayFromImage(gaps).max() > sitk.GetArrayFromImage(thick).max()


def test_noise_has_its_deviation_and_its_seed():
    grid = Grid((40, 40, 40), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    flat = grid.image(np.full(grid.shape, 10.0, np.float32))
    first, again, other = (sitk.GetArrayFromImage(acquire(flat, (0.5, 0.5, 1.0), noise=0.5, seed=s)) for s in (1, 1, 2))
    assert first.std() == pytest.approx(0.5, rel=0.02)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"spacing": (0.5, 0.5, 0.3)}, "finer"),
        ({"spacing": (0.5, 0.5, 3), "thickness": (0.5, 0.5, 0)}, "positive"),
        ({"spacing": (0.5, 0.5, 3), "noise": -1}, "negative"),
    ],
)
def test_impossible_acquisitions(arguments, message):
    with pytest.raises(ValueError, match=message):
        acquire(blob(_fine(GRIDS["oblique"]), 2.0), **arguments)
