"""Pictures of results show the right anatomy the right way round."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import awkward_grids

from SegSRGANLib.geometry import Grid
from SegSRGANLib.report import Column, _plane, draw_enhancement, draw_planes


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
    height = 0.5 if axis == 2 else 1.0
    assert box == (0, plane.shape[1] * 0.5, plane.shape[0] * height, 0)


@pytest.mark.parametrize("grid", awkward_grids().values(), ids=awkward_grids())
def test_any_grid_can_be_drawn(grid, tmp_path):
    image = _marked(grid)
    draw_enhancement(image, image, sitk.Cast(image > 0.5, sitk.sitkUInt8), tmp_path / "qc.png", "marked")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "qc.png")))
    assert min(picture.shape[:2]) > 300
    orange = (picture[..., 0] > 200) & (picture[..., 1] < 130) & (picture[..., 2] < 100)
    assert orange.sum() > 20  # the outline is there


def test_a_volume_without_cortex_can_be_drawn(marked, tmp_path):
    nothing = sitk.Image(marked.GetSize(), sitk.sitkUInt8)
    nothing.CopyInformation(marked)
    draw_planes([Column("empty", marked, nothing)], tmp_path / "empty.png", "no cortex")
    assert (tmp_path / "empty.png").stat().st_size > 1000
