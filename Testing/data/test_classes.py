"""Names of classes in files, and the label map of their probabilities."""

import numpy as np
import pytest

from SegSRGANLib.data.classes import (
    TISSUES,
    bids_label,
    checked_names,
    display_colours,
    file_part,
    label_map,
    round_probabilities,
)


def _coarse(classes, seed):
    """Probabilities in steps of a tenth, so that many are equal to each other and to the threshold."""
    return (np.random.default_rng(seed).integers(0, 11, (classes, 6, 5, 4)) / 10).astype(np.float32)


@pytest.mark.parametrize("classes", [1, 2, 3, 7])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_a_voxel_gets_its_most_probable_class_or_none(classes, threshold):
    probabilities = _coarse(classes, classes)
    labels = label_map(probabilities, threshold)
    assert labels.dtype == np.uint8 and labels.shape == probabilities.shape[1:]
    for place in np.ndindex(labels.shape):
        candidates = [float(value) for value in probabilities[(slice(None), *place)]]
        most = max(candidates)
        assert labels[place] == (candidates.index(most) + 1 if np.float32(most) >= threshold else 0)


def test_one_class_is_the_threshold():
    probability = _coarse(1, 0)
    np.testing.assert_array_equal(label_map(probability, 0.5), (probability[0] >= 0.5).astype(np.uint8))


def test_rounded_probabilities_need_no_more_than_17_bits():
    given = np.random.default_rng(1).random((3, 40, 40)).astype(np.float32) ** 8
    given[0, 0, :4] = 0, 1, 2.0**-18, 1 - 2.0**-18
    rounded = given.copy()
    assert round_probabilities(rounded) is rounded and rounded.dtype == np.float32
    assert np.abs(rounded - given).max() <= 2.0**-17
    np.testing.assert_array_equal(rounded * 2**16, np.rint(rounded * 2**16))
    np.testing.assert_array_equal(rounded[0, 0, :4], [0, 1, 0, 1])


def test_names_in_files():
    assert file_part("white matter") == "white-matter" and bids_label("white matter") == "WM"
    assert file_part("outer CSF") == "outer-CSF" and bids_label("outer CSF") == "OuterCSF"
    assert file_part("../grey (deep)") == "grey-deep" and bids_label("../grey (deep)") == "GreyDeep"
    assert file_part("cortex") == "cortex" and bids_label("cortex") == "CGM"
    assert checked_names(["cortex", "white matter"]) == ("cortex", "white matter")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "1 to 255 classes, not 0"),
        ([f"c{k}" for k in range(256)], "1 to 255 classes, not 256"),
        (["  "], "cannot be named '  '"),
        (["x" * 65], "cannot be named 'xxx"),
        ([5], "cannot be named 5"),
        (["cortex", "cortex"], "'cortex' and 'cortex' would share files"),
        (["white matter", "White-Matter"], "'white matter' and 'White-Matter' would share files"),
        (["cortex", "Cortex"], "would share files"),
        (["cortex", "CGM"], "would share files"),
    ],
)
def test_names_that_cannot_be(names, sentence):
    with pytest.raises(ValueError, match=sentence):
        checked_names(names)


def test_every_tissue_looks_and_is_named_differently():
    names = tuple(TISSUES)
    assert checked_names(names) == names
    assert len({bids_label(name) for name in names}) == len(set(display_colours(names))) == len(names)
    assert display_colours(names) == tuple(tissue.colour for tissue in TISSUES.values())


def test_other_classes_take_colours_that_no_tissue_of_the_model_has():
    names = ("lesion", "cortex", "cyst", "ventricles")
    colours = display_colours(names)
    assert colours[1] == TISSUES["cortex"].colour and colours[3] == TISSUES["ventricles"].colour
    assert len(set(colours)) == 4
    assert len(display_colours([f"c{k}" for k in range(255)])) == 255
    assert len(set(display_colours([*TISSUES, *(f"c{k}" for k in range(4))]))) == 11


def test_codes_are_those_of_dicom():
    """The context groups of PS3.16 for brain structures and for segmentations of the nervous system."""
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    known = {
        (code, meaning)
        for codes in concepts.values()
        for code, (meaning, groups) in codes.items()
        if {7140, 7153} & set(groups)
    }
    for tissue in TISSUES.values():
        assert (tissue.code == "" and not tissue.meaning) or (tissue.code, tissue.meaning) in known, tissue.name
