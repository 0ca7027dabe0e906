"""DICOM elements that do not fit into their file are found before a reader reserves memory for them."""

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from support.dicom_files import mr_series

from SegSRGANLib.io.dicom.integrity import check_elements
from SegSRGANLib.io.volume import VolumeError

SYNTAXES = [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian]
HUGE = 0x7FFFFFF0
NAME = b"Doe^Inner "


def _slice(path, syntax, undefined=False):
    """A slice with an element inside a sequence inside a sequence."""
    data = mr_series(slices=1)[0]
    inner, outer = Dataset(), Dataset()
    inner.OperatorsName = NAME.decode().strip()
    outer.ReferencedImageSequence = [inner]
    data.RequestAttributesSequence = [outer, Dataset()]
    for holder in (data["RequestAttributesSequence"], outer["ReferencedImageSequence"]):
        holder.is_undefined_length = undefined
        for item in holder.value:
            item.is_undefined_length_sequence_item = undefined
    data.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [*SYNTAXES, uid.DeflatedExplicitVRLittleEndian])
def test_sound_files_pass(tmp_path, syntax, undefined):
    check_elements(_slice(tmp_path / "slice", syntax, undefined))


def test_compressed_pixels_pass_unless_a_fragment_is_too_long(tmp_path):
    data = mr_series(slices=1)[0]
    data.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    fragments = [bytes(range(200)) * 3, b"\xff" * 64]
    data.PixelData = encapsulate(fragments)
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(tmp_path / "slice", enforce_file_format=True)
    check_elements(tmp_path / "slice")
    content = (tmp_path / "slice").read_bytes()
    place = content.rindex(b"\xff" * 64) - 4
    (tmp_path / "slice").write_bytes(content[:place] + HUGE.to_bytes(4, "little") + content[place + 4 :])
    with pytest.raises(VolumeError, match="damaged"):
        check_elements(tmp_path / "slice")


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_length_beyond_the_end_is_refused_also_deep_inside(tmp_path, syntax, undefined):
    path = _slice(tmp_path / "slice", syntax, undefined)
    content = path.read_bytes()
    place = content.index(NAME)
    order = "big" if syntax == uid.ExplicitVRBigEndian else "little"
    implicit = syntax == uid.ImplicitVRLittleEndian
    length = HUGE.to_bytes(4, order) if implicit else (0xFFFE).to_bytes(2, order)
    path.write_bytes(content[: place - len(length)] + length + content[place:])
    with pytest.raises(VolumeError, match="slice is a damaged DICOM file"):
        check_elements(path)


def test_a_file_that_ends_early_is_refused(tmp_path):
    path = _slice(tmp_path / "slice", uid.ExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VolumeError, match="damaged"):
        check_elements(path)
