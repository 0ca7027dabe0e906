"""MetaImage headers: what is read as it stands, and what is refused."""

import logging

import pytest
import SimpleITK as sitk
from support.text_headers import VALUES, is_the_volume
from support.volume_files import complaint, small_image, substitute

from SegSRGANLib.io.volume import read_volume

MHA = """ObjectType = Image
NDims = 3
DimSize = 7 6 5
ElementSpacing = 0.5 0.75 3
Offset = 5 6 7
TransformMatrix = 1 0 0 0 1 0 0 0 1
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def _mha(path, old: str = "", new: str = "", data: bytes = VALUES.tobytes()):
    assert old in MHA
    path.write_bytes(MHA.replace(old, new).encode() + data)
    return path


def test_metaimage_without_axes_warns(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "SegSRGANLib"):
        is_the_volume(read_volume(_mha(tmp_path / "v.mha", "TransformMatrix", "Comment")))
    assert "does not say how it lies in space" in caplog.text


def test_metaimage_that_announces_a_huge_stream(tmp_path):
    """SimpleITK would ask for the memory first."""
    sitk.WriteImage(small_image(), str(tmp_path / "v.mha"), useCompression=True)
    assert "truncated" in complaint(
        substitute(tmp_path / "v.mha", "CompressedDataSize = ", "CompressedDataSize = 999999")
    )


def test_metaimage_as_written_by_hand(tmp_path):
    is_the_volume(read_volume(_mha(tmp_path / "v.mha")))
    is_the_volume(read_volume(_mha(tmp_path / "v.mha", "Offset", "Position")))
    is_the_volume(read_volume(_mha(tmp_path / "v.mha", "TransformMatrix", "Comment = a scan: by hand\nOrientation")))
    is_the_volume(read_volume(_mha(tmp_path / "v.mha", "ElementType", "DistanceUnits = mm\nElementType")))


def test_metaimage_beside_its_header(tmp_path):
    (tmp_path / "v.raw").write_bytes(VALUES.tobytes())
    is_the_volume(read_volume(_mha(tmp_path / "v.mhd", "LOCAL", "v.raw", b"")))
    (tmp_path / "v.raw").write_bytes(b"13 bytes here" + VALUES.tobytes())
    for size in (13, -1):
        path = _mha(tmp_path / "v.mhd", "LOCAL", "v.raw", b"")
        is_the_volume(read_volume(substitute(path, "ElementType", f"HeaderSize = {size}\nElementType")))


MHA_CHANGES = {
    "no dimensions": ("NDims = 3\n", "", "no 'NDims'"),
    "negative dimensions": ("NDims = 3", "NDims = -1", "-1 dimensions"),
    "thirty dimensions": ("NDims = 3", "NDims = 30", "30 dimensions"),
    "two dimensions": ("NDims = 3", "NDims = 2", "2 dimensions"),
    "two sizes": ("DimSize = 7 6 5", "DimSize = 7 6", "damaged 'DimSize'"),
    "negative size": ("DimSize = 7 6 5", "DimSize = 7 6 -5", "impossible size"),
    "fraction": ("DimSize = 7 6 5", "DimSize = 7 6 5.5", "damaged 'DimSize'"),
    "words": ("DimSize = 7 6 5", "DimSize = 7 6 five", "damaged 'DimSize'"),
    "no size": ("DimSize = 7 6 5\n", "", "no 'DimSize'"),
    "zero spacing": ("ElementSpacing = 0.5", "ElementSpacing = 0", "impossible voxel size of 0 0.75 3"),
    "negative spacing": ("ElementSpacing = 0.5", "ElementSpacing = -0.5", "impossible voxel size"),
    "NaN spacing": ("ElementSpacing = 0.5", "ElementSpacing = nan", "damaged 'ElementSpacing'"),
    "no spacing": ("ElementSpacing = 0.5 0.75 3\n", "", "how large its voxels"),
    "sheared": ("TransformMatrix = 1 0 0", "TransformMatrix = 1 0.3 0", "not perpendicular"),
    "stretched": ("TransformMatrix = 1 0 0", "TransformMatrix = 2 0 0", "not perpendicular"),
    "wild": ("TransformMatrix = 1 0 0", "TransformMatrix = 1e200 0 0", ""),
    "far away": ("Offset = 5", "Offset = 1e200", "impossible origin"),
    "flat": ("TransformMatrix = 1 0 0", "TransformMatrix = 0 0 0", ""),
    "short matrix": ("TransformMatrix = 1 0 0", "TransformMatrix = 1 0", "damaged 'TransformMatrix'"),
    "NaN origin": ("Offset = 5", "Offset = nan", "damaged 'Offset'"),
    "unit": ("ElementType", "DistanceUnits = um\nElementType", "lengths in um"),
    "channels": ("ElementType", "ElementNumberOfChannels = 3\nElementType", "3 values per voxel"),
    "scaled": ("ElementType", "ElementToIntensityFunctionSlope = 2\nElementType", "rescales"),
    "text": ("ElementType", "BinaryData = False\nElementType", "written out as text"),
    "maybe": ("ElementType", "BinaryData = maybe\nElementType", "damaged 'BinaryData'"),
    "array": ("MET_SHORT", "MET_SHORT_ARRAY", "voxel type 'MET_SHORT_ARRAY'"),
    "no type": ("ElementType = MET_SHORT\n", "", "voxel type ''"),
    "header size": ("ElementType", "HeaderSize = 5\nElementType", "damaged 'HeaderSize'"),
    "no stored size": ("ElementType", "CompressedData = True\nElementType", "no 'CompressedDataSize'"),
    "no key": ("ElementType", "nonsense\nElementType", "damaged header"),
    "twice": ("ElementType", "NDims = 3\nElementType", "damaged header"),
    "long line": ("ElementType", f"Comment = {'x' * 600}\nElementType", "damaged header"),
    "no end": ("ElementDataFile = LOCAL", "Comment = x", "damaged header"),
    "list": ("LOCAL", "LIST", "several files"),
    "pattern": ("LOCAL", "v%03d.raw 1 5 1", "several files"),
    "elsewhere": ("LOCAL", "/etc/passwd", "another folder"),
    "missing": ("LOCAL", "gone.raw", "needs the file 'gone.raw'"),
}


@pytest.mark.parametrize("name", MHA_CHANGES)
def test_metaimage_headers_that_are_refused(tmp_path, name):
    old, new, message = MHA_CHANGES[name]
    assert message in complaint(_mha(tmp_path / "v.mha", old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Matrix = 1 0 0 0 1 0 0", "Matrix = 1 0 0 0 1 0 -1.7976931348623157e+308"),
        ("0.5 0.75 3", "0.5 0.75 1e300"),
    ],
)
def test_metaimage_numbers_that_nobody_can_compute_with(tmp_path, old, new):
    """SimpleITK never returned from the first of them."""
    assert "impossible" in complaint(_mha(tmp_path / "v.mha", old, new))
