"""NRRD headers: what is read as it stands, and what is refused."""

import logging

import numpy as np
import pytest
import SimpleITK as sitk
from support.text_headers import VALUES, is_the_volume
from support.volume_files import complaint, corners, small_image, substitute

from SegSRGANLib.io.volume import read_labels, read_volume


def _nrrd(path, fields: str, data: bytes = VALUES.tobytes()):
    path.write_bytes(b"NRRD0004\n" + fields.encode() + b"\n\n" + data)
    return path


NRRD = """type: short
dimension: 3
space: {space}
sizes: 7 6 5
space directions: (0.5,0,0) (0,0.75,0) (0,0,3)
space origin: (5,6,7)
endian: little
encoding: {encoding}"""


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
    ],
)
def test_nrrd_spaces(tmp_path, space, signs):
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", NRRD.format(space=space, encoding="raw"))), signs)


def test_nrrd_encodings(tmp_path):
    text = " ".join(map(str, VALUES.ravel())).encode()
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", NRRD.format(space="LPS", encoding="ascii"), text)))
    skipped = NRRD.format(space="LPS", encoding="raw") + "\nbyte skip: 11"
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", skipped, b"eleven byte" + VALUES.tobytes())))
    assert "truncated" in complaint(_nrrd(tmp_path / "v.nrrd", skipped))
    last = NRRD.format(space="LPS", encoding="raw") + "\nbyte skip: -1"
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", last, bytes(10_000) + VALUES.tobytes())))
    lines = NRRD.format(space="LPS", encoding="raw").replace("\n", "\r\n").encode()
    (tmp_path / "v.nrrd").write_bytes(b"NRRD0004\r\n" + lines + b"\r\n\r\n" + VALUES.tobytes())
    is_the_volume(read_volume(tmp_path / "v.nrrd"))


def test_nrrd_entries_of_other_programs(tmp_path):
    fields = NRRD.format(space="LPS", encoding="raw")
    fields += "\n# a comment\nSegment0_Name:=cortex: grey\nkinds: domain domain space"
    labels = read_labels(_nrrd(tmp_path / "v.seg.nrrd", fields))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), VALUES)


@pytest.mark.parametrize("pattern", ["{one} {space}", "{space} {one}"])
def test_nrrd_with_a_list_of_one(tmp_path, pattern):
    fields = NRRD.format(space="LPS", encoding="raw").replace("dimension: 3", "dimension: 4")
    for one, space in (("1", "7 6 5"), ("none", "(0.5,0,0) (0,0.75,0) (0,0,3)")):
        fields = fields.replace(space, pattern.format(one=one, space=space))
    fields += "\nkinds: " + pattern.format(one="list", space="domain domain domain")
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", fields)))


def test_nrrd_sizes_that_programs_read_differently(tmp_path):
    """Python reads 7_0 as 70, a C program as 7."""
    fields = NRRD.format(space="LPS", encoding="raw").replace("sizes: 7", "sizes: 7_0")
    assert "two ways" in complaint(_nrrd(tmp_path / "v.nrrd", fields, VALUES.tobytes() * 10))


def test_nrrd_without_a_space_warns(tmp_path, caplog):
    fields = NRRD.format(space="LPS", encoding="raw").replace("space: LPS", "")
    fields = "\n".join(line for line in fields.splitlines() if line and not line.startswith("space"))
    with caplog.at_level(logging.WARNING, "SegSRGANLib"):
        image = read_volume(_nrrd(tmp_path / "v.nrrd", fields + "\nspacings: 0.5 0.75 3"))
    assert "does not say how it lies in space" in caplog.text
    assert image.GetSpacing() == (0.5, 0.75, 3)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_metadata_in_another_alphabet_is_dropped(tmp_path, suffix):
    image = small_image()
    image.SetMetaData("Praenom", "Prenom")
    sitk.WriteImage(image, str(tmp_path / f"v{suffix}"))
    content = (tmp_path / f"v{suffix}").read_bytes()
    (tmp_path / f"v{suffix}").write_bytes(content.replace(b"Prae", "Prä".encode("latin-1")))
    assert read_volume(tmp_path / f"v{suffix}").GetMetaDataKeys() == ()


NRRD_CHANGES = {
    "no type": ("type: short\n", "", "no 'type'"),
    "no sizes": ("sizes: 7 6 5\n", "", "no 'sizes'"),
    "two sizes": ("sizes: 7 6 5", "sizes: 7 6", "2 sizes for 3 dimensions"),
    "words": ("sizes: 7 6 5", "sizes: a b c", "not whole numbers"),
    "zero": ("sizes: 7 6 5", "sizes: 7 6 0", "impossible size"),
    "frames": ("dimension: 3", "dimension: 5", "3 sizes for 5"),
    "twice": ("type: short", "type: short\ntype: int", "damaged header"),
    "no colon": ("type: short", "type: short\nnonsense", "damaged header"),
    "block": ("type: short", "type: block", "voxel type 'block'"),
    "bzip2": ("encoding: raw", "encoding: bzip2", "encoded as 'bzip2'"),
    "line skip": ("encoding: raw", "encoding: raw\nline skip: 1", "line skip"),
    "byte skip": ("encoding: raw", "encoding: raw\nbyte skip: -2", "byte skip"),
    "byte skip word": ("encoding: raw", "encoding: raw\nbyte skip: x", "not a number"),
    "unit": ("endian", 'space units: "um" "um" "um"\nendian', "lengths in um"),
    "no spacing": ("space directions: (0.5,0,0) (0,0.75,0) (0,0,3)\n", "", "how large its voxels"),
    "one axis": ("(0,0,3)", "none", "how large its voxels"),
    "zero axis": ("(0,0,3)", "(0,0,0)", ""),
    "sheared": ("(0,0,3)", "(0,0.5,3)", "not perpendicular"),
    "NaN": ("(5,6,7)", "(nan,6,7)", ""),
    "no byte order": ("endian: little\n", "", ""),
    "list": ("encoding: raw", "encoding: raw\ndata file: LIST", "several files"),
    "pattern": ("encoding: raw", "encoding: raw\ndata file: v%03d.raw 1 5 1", "several files"),
    "elsewhere": ("encoding: raw", "encoding: raw\ndata file: ../v.raw", "another folder"),
    "missing": ("encoding: raw", "encoding: raw\ndata file: gone.raw", "needs the file 'gone.raw'"),
}


@pytest.mark.parametrize("name", NRRD_CHANGES)
def test_nrrd_headers_that_are_refused(tmp_path, name):
    old, new, message = NRRD_CHANGES[name]
    path = _nrrd(tmp_path / "v.nrrd", NRRD.format(space="left-posterior-superior", encoding="raw"))
    assert message in complaint(substitute(path, old, new))


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
@pytest.mark.parametrize("compressed", [True, False])
def test_header_and_voxels_in_two_files(tmp_path, suffix, compressed):
    image = small_image()
    sitk.WriteImage(image, str(tmp_path / f"v{suffix}"), useCompression=compressed)
    back = read_volume(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(corners(back), corners(image), atol=1e-6)
    (voxels,) = (p for p in tmp_path.iterdir() if p.suffix != suffix)
    voxels.write_bytes(voxels.read_bytes()[:-3])
    assert "truncated" in complaint(tmp_path / f"v{suffix}")
    voxels.unlink()
    assert "is missing" in complaint(tmp_path / f"v{suffix}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(0.5,0,0)", "x" * 600),
        ("(0.5,0,0)", "(0.5,0)"),
        ("(0.5,0,0)", "(0.5,0,abc)"),
        ("(0.5,0,0)", "(0.5,0,1e400)"),
        ("(0.5,0,0)", "(0.5,0,1e300)"),
        ("(0.5,0,0)", "(0.5,0,nan)"),
        ("(5,6,7)", "(5,6)"),
        ("(5,6,7)", "(5,6,x)"),
        ("little", "x" * 600),
        ("type: short", "kinds: " + "x" * 600 + "\ntype: short"),
    ],
)
def test_nrrd_words_that_are_no_numbers_or_too_long(tmp_path, old, new):
    """SimpleITK's reader ended the process on some, and never ended on others."""
    fields = NRRD.format(space="LPS", encoding="raw")
    assert old in fields
    said = complaint(_nrrd(tmp_path / "v.nrrd", fields.replace(old, new)))
    assert "damaged" in said and len(said) < 300


def test_nrrd_numbers_as_programs_write_them(tmp_path):
    fields = (
        NRRD.format(space="LPS", encoding="raw").replace("(0.5,0,0)", "(5e-1, -0.0,+0)").replace("(5,6,7)", "(5.,6,7)")
    )
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", fields)))
    long = fields + "\ncontent: " + "y" * 600
    is_the_volume(read_volume(_nrrd(tmp_path / "v.nrrd", long)))
