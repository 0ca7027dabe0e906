"""The parts of the DrawEM-style segmentation do what they are for."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.atlas_scenes import dice

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import CORTEX as LABEL
from SegSRGANLib.multi_atlas import drawem
from SegSRGANLib.multi_atlas.bias_polynomial import fit_bias
from SegSRGANLib.multi_atlas.partial_volume import CORTEX, FLUID, OUTSIDE, WHITE, Roles, correct_partial_volume
from SegSRGANLib.transforms.tissue_borders import distances_between


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


@pytest.mark.slow
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
