"""The output grid keeps the field of view and the direction."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from support.grids import awkward_grids, blob, centroid, positions

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.transforms.resample import upsample

GRIDS = awkward_grids()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_positions_are_simpleitks(grid):
    image = grid.image(np.zeros(grid.shape, np.float32))
    index = (3, 5, 2)
    assert np.allclose(image.TransformIndexToPhysicalPoint(index), positions(grid)[2, 5, 3])
    assert Grid.of(image).matches(grid)


@given(
    size=st.tuples(*[st.integers(2, 60)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 4)] * 3),
    wanted=st.floats(0.2, 1.5),
    name=st.sampled_from(list(GRIDS)),
)
def test_faces_stay_where_they_are(size, spacing, wanted, name):
    grid = Grid(size, spacing, GRIDS[name].origin, GRIDS[name].direction)
    if wanted > min(grid.extent):
        return
    output = output_grid(grid, wanted)
    axes = np.array(grid.direction).reshape(3, 3)
    near = [np.array(g.origin) - axes @ np.array(g.spacing) / 2 for g in (grid, output)]
    assert np.allclose(*near, atol=1e-9)
    assert np.all(np.abs(np.array(output.extent) - np.array(grid.extent)) <= wanted / 2 + 1e-9)
    assert output.direction == grid.direction


@pytest.mark.parametrize("spacing", [0.5, 0.37, (0.5, 0.45, 0.8)])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_anatomy_does_not_move(grid, spacing):
    scan = blob(grid, sigma=2.2)
    result = upsample(scan, output_grid(grid, spacing))
    middle = positions(grid).reshape(-1, 3).mean(axis=0) + (0.6, -0.4, 0.3)
    assert np.linalg.norm(centroid(scan) - middle) < 0.01
    assert np.linalg.norm(centroid(result) - centroid(scan)) < 0.01


def test_aligned_centres_would_be_seen():
    """The classical mistake, aligning the first and last centres while writing the new spacing, moves the blob."""
    grid = GRIDS["canonical"]
    scan = blob(grid, sigma=2.2, offset=(0, 0, 6))
    output = output_grid(grid, 0.5)
    stretched = (grid.size[2] - 1) * grid.spacing[2] / (output.size[2] - 1)
    axes = np.array(grid.direction).reshape(3, 3)
    shift = axes @ (0, 0, stretched / 2 - grid.spacing[2] / 2)
    aligned = Grid(output.size, (0.5, 0.5, stretched), tuple(np.array(output.origin) + shift), output.direction)
    assert np.linalg.norm(centroid(upsample(scan, aligned)) - centroid(scan)) < 0.01  # pixels right ...
    mislabelled = output.image(sitk.GetArrayFromImage(upsample(scan, aligned)))  # ... under another spacing
    assert np.linalg.norm(centroid(mislabelled) - centroid(scan)) > 0.1


def test_isotropic_grid_is_unchanged():
    grid = Grid((20, 21, 22), (0.5, 0.5, 0.5), (1.0, 2.0, 3.0), tuple(np.eye(3).ravel()))
    assert output_grid(grid, 0.5) == grid


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), 1000])
def test_impossible_spacing(spacing):
    with pytest.raises(ValueError, match="spacing"):
        output_grid(GRIDS["oblique"], spacing)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.5,) * 4, ((0.5, 0.5, 0.5),)])
def test_a_spacing_is_one_number_or_three(spacing):
    with pytest.raises(ValueError, match="one number or three"):
        output_grid(GRIDS["canonical"], spacing)


def test_image_refuses_another_shape():
    with pytest.raises(ValueError, match="shape"):
        GRIDS["oblique"].image(np.zeros((2, 2, 2), np.float32))


def test_two_dimensional_image_is_refused():
    with pytest.raises(ValueError, match="2 dimensions"):
        Grid.of(sitk.Image(4, 4, sitk.sitkUInt8))


def test_grids_that_differ_at_their_ends_have_a_common_one():
    axes = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    grid = Grid((4, 5, 156), (0.8, 0.8, 0.8), (1.0, 2.0, 3.0), axes)
    shorter = Grid((4, 5, 155), grid.spacing, grid.origin, axes)
    assert grid.common(shorter) == shorter.common(grid) == shorter
    image = grid.image(np.arange(4 * 5 * 156, dtype=np.int32).reshape(grid.shape))
    moved = Grid((4, 5, 156), grid.spacing, image.TransformIndexToPhysicalPoint((1, 2, 3)), axes)
    common = grid.common(moved)
    assert common.size == (3, 3, 153) and np.allclose(common.origin, moved.origin)
    for other, message in (
        (Grid(grid.size, (0.8, 0.8, 0.9), grid.origin, axes), "spacing"),
        (Grid(grid.size, grid.spacing, (1.0, 2.0, 3.4), axes), "between"),
        (Grid(grid.size, grid.spacing, (1.0, 2.0, 800.6), axes), "no voxel in common"),
    ):
        with pytest.raises(ValueError, match=message):
            grid.common(other)
