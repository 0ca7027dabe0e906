"""Warnings in words."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.solids import segmentation_image

from SegSRGANLib.data.grid import place_in_words
from SegSRGANLib.quality.assessment import quality_warnings
from SegSRGANLib.quality.morphometry import describe_segmentation


def test_pieces_and_nothing():
    array = np.zeros((9, 9, 9))
    array[1:3, 1:3, 1:3], array[5:8, 5:8, 5:8] = 1, 1
    figures = describe_segmentation(
        segmentation_image(array), sitk.Cast(segmentation_image(array), sitk.sitkFloat32) * 0.5
    )
    assert figures["components"] == 2 and figures["largest_component"] == round(27 / 35, 4)
    assert figures["expected_volume_ml"] == pytest.approx(figures["volume_ml"] / 2, abs=1e-4)
    nothing = describe_segmentation(segmentation_image(np.zeros((4, 4, 4))))
    assert (nothing["volume_ml"], nothing["components"], nothing["largest_component"]) == (0, 0, None)
    assert "No cortex" in quality_warnings({"consistency": _quiet(), "cortex": nothing})[0]


def _quiet():
    place = {"z_max_position_lps": [0, 0, 0], "slice": 0, "region": "mask"}
    return {"psnr": 40.0, "z_max": 1.0, "slice_z_max": 0.0, **place}


@pytest.mark.parametrize(
    ("lps", "words"),
    [
        ((12.4, -5.0, 30.0), "12 mm left, 5 mm anterior, 30 mm superior"),
        ((-3.0, 7.6, -1.0), "3 mm right, 8 mm posterior, 1 mm inferior"),
    ],
)
def test_the_place_of_a_warning_is_said_in_directions(lps, words):
    figures = _quiet() | {"z_max": 12.0, "z_max_position_lps": list(lps)}
    (warning,) = quality_warnings({"consistency": figures})
    assert f"Around {words} of the origin" in warning and "LPS" not in warning


def test_the_words_agree_with_the_axes_of_a_volume():
    """Right and anterior by the letters that ITK itself gives to the axes."""
    image = sitk.DICOMOrient(sitk.Image(5, 6, 7, sitk.sitkUInt8), "RAS")  # axes run to the right, front and top
    start = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
    end = np.array(image.TransformIndexToPhysicalPoint((4, 5, 6)))
    assert place_in_words(end - start) == "4 mm right, 5 mm anterior, 6 mm superior"
