"""All fusions of registered atlases: how good they are, and what they refuse."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.atlas_scenes import SYSTEMS

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import CORTEX as LABEL
from SegSRGANLib.multi_atlas import majority_vote as voting
from SegSRGANLib.multi_atlas.evidence import WarpedAtlas
from SegSRGANLib.utils.errors import Cancelled


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
