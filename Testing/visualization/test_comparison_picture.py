"""Pictures of results show the right anatomy the right way round."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.grids import awkward_grids

from SegSRGANLib.data.classes import TISSUES
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.visualization.comparison_picture import Column, _focus_and_box, _plane, draw_planes


def _marked(grid: Grid) -> sitk.Image:
    """A dark volume with a bright corner: left, posterior, superior (high x, y and z in LPS)."""
    array = np.full(grid.shape, 0.1, np.float32)
    array[-4:, -8:, -10:] = 1.0
    return grid.image(array)


@pytest.fixture
def marked():
    return _marked(Grid((40, 32, 20), (0.5, 0.5, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel())))


@pytest.mark.parametrize(
    "axis, focus, rows, columns",
    [
        (2, (15, 15, 18.5), slice(-8, None), slice(-10, None)),  # axial: posterior down, left at the right
        (1, (15, 15, 10), slice(0, 4), slice(-10, None)),  # coronal: superior up, left at the right
        (0, (18, 10, 10), slice(0, 4), slice(-8, None)),  # sagittal: superior up, posterior at the right
    ],
)
def test_planes_are_radiological(marked, axis, focus, rows, columns):
    plane, box = _plane(marked, axis, np.array(focus, float))
    expected = np.full_like(plane, 0.1)
    expected[rows, columns] = 1.0
    assert np.allclose(plane, expected)
    width, depth, height = 20.0, 16.0, 20.0
    assert box == {2: (0, width, depth, 0), 1: (0, width, 0, height), 0: (0, depth, 0, height)}[axis]


@pytest.mark.parametrize("grid", awkward_grids().values(), ids=awkward_grids())
def test_any_grid_can_be_drawn(grid, tmp_path):
    image = _marked(grid)
    draw_planes([Column("marked", image, sitk.Cast(image > 0.5, sitk.sitkUInt8))], tmp_path / "qc.png", "marked")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "qc.png")))
    assert picture.shape[0] > 300
    cortex = np.abs(picture[..., :3].astype(int) - TISSUES["cortex"].colour).max(axis=-1) < 60
    assert cortex.sum() > 20  # the outline is there


def test_the_picture_shows_the_outline_and_a_margin():
    grid = Grid((60, 60, 30), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    array = np.zeros(grid.shape, np.uint8)
    array[12:18, 20:40, 25:30] = 1
    focus, box = _focus_and_box([Column("brain", grid.image(array), grid.image(array))])
    assert np.allclose(box, [[25 - 12, 20 - 12, 24 - 12], [29 + 12, 39 + 12, 34 + 12]], atol=1)
    assert np.allclose(focus, [27, 29.5, 29], atol=1)


def test_a_volume_without_cortex_can_be_drawn(marked, tmp_path):
    nothing = sitk.Image(marked.GetSize(), sitk.sitkUInt8)
    nothing.CopyInformation(marked)
    draw_planes([Column("empty", marked, nothing)], tmp_path / "empty.png", "no cortex")
    assert (tmp_path / "empty.png").stat().st_size > 1000
