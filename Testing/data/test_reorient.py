"""However the axes of a volume are stored, the network sees the same brain and the result lies where it belongs."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import blob, oblique_direction, positions

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.data.reorient import CanonicalAxes
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

SYMMETRIES = [(p, s) for p in permutations(range(3)) for s in product((1, -1), repeat=3)]


def _grid(order, signs, tilt=(0.2, -0.15, 0.1)):
    direction = oblique_direction(tilt)[:, list(order)] * np.array(signs)
    return Grid((6, 7, 8), (1.0, 1.1, 1.2), (0.0, 0.0, 0.0), tuple(direction.ravel()))


@pytest.mark.parametrize("order, signs", SYMMETRIES)
def test_canonical_axes_point_to_superior_posterior_left_and_come_back(order, signs):
    grid = _grid(order, signs)
    axes = CanonicalAxes.of(grid)
    places = torch.from_numpy(positions(grid))  # (z, y, x, LPS)
    left, posterior, superior = (axes.canonical(places[..., k]) for k in range(3))
    for axis, coordinate in enumerate((superior, posterior, left)):
        steps = coordinate.diff(dim=axis)
        assert steps.min() > 0.9  # of about 1 mm
    for k in range(3):
        assert torch.equal(axes.original(axes.canonical(places[..., k])[None])[0], places[..., k])


@pytest.mark.parametrize("order, signs", SYMMETRIES[::5])
def test_a_brain_stored_in_another_order_gives_the_same_result(order, signs):
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard())
    grid = Grid((52, 50, 12), (0.45, 0.45, 3.0), (-21.5, 13.25, 40.0), tuple(np.eye(3).ravel()))  # multiples of 0.9 mm
    image = blob(grid, 3.0) + 0.1
    options = EnhanceOptions(spacing=0.9, prediction=PredictionOptions(32, device="cpu"))
    expected = enhance(image, model, options).sr
    stored = sitk.PermuteAxes(image, order)
    stored = sitk.Flip(stored, [s < 0 for s in signs], False)  # voxels and header: the anatomy stays where it is
    result = enhance(stored, model, options).sr
    back = sitk.Resample(result, expected, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.allclose(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(expected), atol=1e-4)
