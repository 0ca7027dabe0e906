"""NIfTI geometry and intensities, against nibabel's independent reading; contradictory headers are refused."""

import gzip
import logging

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from support.grids import oblique_direction
from support.volume_files import affine_lps, complaint, patch, save_nifti, scanner_affine

from SegSRGANLib.io.volume import read_volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _agrees_with_nibabel(path, millimetres: float = 1.0) -> None:
    """Same voxels and same places as nibabel reads."""
    image, other = read_volume(path), nibabel.load(path)
    scale = np.diag([millimetres] * 3 + [1.0])
    np.testing.assert_allclose(LPS_TO_RAS @ affine_lps(image), scale @ other.affine, atol=1e-4)
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), other.get_fdata().T, rtol=1e-6)


def _sheared(factor: float) -> np.ndarray:
    affine = scanner_affine()
    affine[:3, :3] = affine[:3, :3] @ np.array([[1, factor, 0], [0, 1, 0], [0, 0, 1]])
    return affine


# ------------------------------------------------------------------------------------------------ read right


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1), (2, 4), (1, 2)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_place_by_qform_or_sform(tmp_path, codes, suffix):
    _agrees_with_nibabel(save_nifti(tmp_path / f"v{suffix}", codes=codes))


@pytest.mark.parametrize("mirror", [[1, 1, 1], [-1, 1, 1], [1, 1, -1]])
def test_left_and_right_handed(tmp_path, mirror):
    affine = scanner_affine() @ np.diag([*mirror, 1])
    _agrees_with_nibabel(save_nifti(tmp_path / "v.nii", qform=affine, sform=affine))
    _agrees_with_nibabel(save_nifti(tmp_path / "q.nii", qform=affine, codes=(1, 0)))


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1000), ("mm", 1), ("micron", 0.001), ("unknown", 1)])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 0)])
def test_units_become_millimetres(tmp_path, unit, millimetres, codes):
    affine = scanner_affine()
    affine[:3] /= millimetres
    path = save_nifti(tmp_path / "v.nii", qform=affine, sform=affine, codes=codes, unit=unit)
    assert read_volume(path).GetSpacing() == pytest.approx((1, 1.5, 3))
    if codes != (0, 0):
        _agrees_with_nibabel(path, millimetres)


@pytest.mark.parametrize("code", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_every_voxel_type_and_byte_order(tmp_path, code, order):
    values = np.random.default_rng(0).integers(0, 100, (7, 6, 5)).astype(order + code)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(values.dtype)
    nibabel.save(nibabel.Nifti1Image(values, scanner_affine(), header), tmp_path / "v.nii.gz")
    with gzip.open(tmp_path / "v.nii.gz") as stream:
        assert int.from_bytes(stream.read(4), "little" if order == "<" else "big") == 348
    _agrees_with_nibabel(tmp_path / "v.nii.gz")


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [(2.5, -40, (2.5, -40)), (-1, 0, (-1, 0)), (0, 5, (1, 0)), (np.nan, np.nan, (1, 0)), (np.inf, 5, (1, 0))],
)
def test_intensity_scaling(tmp_path, slope, intercept, expected):
    """nifti1.h: intensity = slope * stored + intercept, unless the slope is zero."""
    stored = sitk.GetArrayFromImage(read_volume(save_nifti(tmp_path / "v.nii")))
    patch(tmp_path / "v.nii", 112, "2f", slope, intercept)
    scaled = sitk.GetArrayFromImage(read_volume(tmp_path / "v.nii"))
    np.testing.assert_allclose(scaled, stored * expected[0] + expected[1], rtol=1e-6)


def test_scaling_beyond_single_precision(tmp_path):
    assert "infinite" in complaint(patch(save_nifti(tmp_path / "v.nii"), 112, "2f", 1e38, 0))


def test_header_extensions_and_trailing_axes_of_one(tmp_path):
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(7, 6, 5, 1, 1)), scanner_affine())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a note" * 50))
    nibabel.save(image, tmp_path / "v.nii.gz")
    back = read_volume(tmp_path / "v.nii.gz")
    np.testing.assert_allclose(sitk.GetArrayFromImage(back), image.get_fdata()[..., 0, 0].T, rtol=1e-6)


def test_several_gzip_members_and_padding(tmp_path):
    whole = save_nifti(tmp_path / "v.nii").read_bytes()
    parts = gzip.compress(whole[:400]) + gzip.compress(whole[400:]) + bytes(512)
    (tmp_path / "v.nii.gz").write_bytes(parts)
    _agrees_with_nibabel(tmp_path / "v.nii.gz")


def test_the_exact_voxel_size_is_kept_when_the_sform_rounds_it(tmp_path):
    assert read_volume(save_nifti(tmp_path / "v.nii")).GetSpacing() == (1.0, 1.5, 3.0)


def test_a_quaternion_a_little_longer_than_one_does_not_stretch(tmp_path):
    path = patch(save_nifti(tmp_path / "v.nii", codes=(1, 0)), 256, "3f", 0, 0, 1.0004)
    image = read_volume(path)
    assert image.GetSpacing() == (1.0, 1.5, 3.0)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), np.eye(3), atol=1e-6)


def test_neither_form_set_is_read_like_simpleitk_with_a_warning(tmp_path, caplog):
    path = save_nifti(tmp_path / "v.nii", codes=(0, 0))
    with caplog.at_level(logging.WARNING, "SegSRGANLib"):
        image = read_volume(path)
    assert "does not say how it lies in space" in caplog.text
    expected = sitk.ReadImage(str(path))
    np.testing.assert_allclose(affine_lps(image), affine_lps(expected))


angles = st.one_of(st.floats(-np.pi, np.pi), st.floats(np.pi - 2e-3, np.pi), st.sampled_from([0.0, np.pi / 2, np.pi]))


@given(st.tuples(angles, angles, angles), st.sampled_from([-1, 1]))
def test_rounding_of_quaternions_is_no_disagreement(tmp_path_factory, turns, mirror):
    """Near 180 degrees a single-precision quaternion is at its worst; such files are common and sound."""
    path = tmp_path_factory.mktemp("quaternion") / "v.nii"
    affine = np.eye(4)
    affine[:3, :3] = oblique_direction(turns) * np.array([0.45, 0.45, 3.0 * mirror])
    affine[:3, 3] = -120.0, 95.5, 60.25
    data = np.zeros((8, 8, 8), np.uint8)
    data[0] = 1
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_qform(affine, 1)
    image.header.set_sform(affine, 1)
    nibabel.save(image, path)
    np.testing.assert_allclose(LPS_TO_RAS @ affine_lps(read_volume(path)), affine, atol=1e-4)


# ------------------------------------------------------------------------------------------------ refused


def test_qform_and_sform_that_disagree(tmp_path):
    shifted = scanner_affine()
    shifted[0, 3] += 0.5
    mirrored = scanner_affine() @ np.diag([-1, 1, 1, 1])
    assert "0.5 mm apart" in complaint(save_nifti(tmp_path / "v.nii", sform=shifted))
    assert "mm apart" in complaint(save_nifti(tmp_path / "v.nii.gz", sform=mirrored, codes=(1, 2)))
    read_volume(save_nifti(tmp_path / "v.nii", sform=shifted, codes=(0, 1)))
    read_volume(save_nifti(tmp_path / "v.nii", sform=shifted, codes=(1, 0)))


def test_voxel_sizes_that_disagree_with_the_sform(tmp_path):
    patch(save_nifti(tmp_path / "v.nii", codes=(0, 1)), 80, "3f", 1, 1, 1)
    assert "1 x 1.5 x 3 mm by its sform and 1 x 1 x 1 mm by its pixdim" in complaint(tmp_path / "v.nii")


def test_sheared_axes(tmp_path):
    assert "not perpendicular" in complaint(save_nifti(tmp_path / "v.nii", sform=_sheared(0.01), codes=(0, 1)))
    assert "mm apart" in complaint(save_nifti(tmp_path / "v.nii", sform=_sheared(0.1), codes=(1, 1)))
    read_volume(save_nifti(tmp_path / "v.nii", sform=_sheared(1e-5), codes=(0, 1)))


HEADER_PATCHES = {
    "zero spacing": (80, "3f", (1, 0, 3), "impossible voxel size of 1 x 0 x 3"),
    "negative spacing": (80, "3f", (1, -1.5, 3), "impossible voxel size of 1 x -1.5 x 3"),
    "NaN spacing": (80, "3f", (1, 1.5, np.nan), "impossible voxel size of 1 x 1.5 x nan"),
    "infinite spacing": (80, "3f", (1, 1.5, np.inf), "impossible voxel size of 1 x 1.5 x inf"),
    "30000 cubed": (40, "4h", (3, 30000, 30000, 30000), "30000 x 30000 x 30000 voxels"),
    "negative size": (40, "4h", (3, 7, 6, -5), "impossible size"),
    "zero size": (40, "4h", (3, 7, 0, 5), "impossible size"),
    "two dimensions": (40, "4h", (2, 7, 6, 5), "2 dimensions"),
    "no dimension": (40, "h", (0,), "damaged"),
    "eight dimensions": (40, "h", (8,), "damaged"),
    "frames": (40, "5h", (4, 7, 3, 2, 5), "4D series of 5 frames"),
    "vectors": (40, "6h", (5, 7, 2, 3, 1, 5), "5 values per voxel"),
    "negative frames": (40, "5h", (4, 7, 6, 5, -1), "impossible size"),
    "bits": (70, "h", (1,), "voxel type 1"),
    "complex": (70, "h", (32,), "complex voxels"),
    "RGB": (70, "h", (128,), "RGB voxels"),
    "voxels in the header": (108, "f", (0,), "inside its own header"),
    "offset NaN": (108, "f", (np.nan,), "inside its own header"),
    "offset beyond the end": (108, "f", (1e9,), "truncated"),
    "intercept": (112, "2f", (1, np.inf), "intercept of inf"),
    "unit": (123, "B", (5,), "unknown unit"),
    "quaternion": (256, "3f", (2, 0, 0), "not a rotation"),
    "quaternion NaN": (256, "3f", (np.nan, 0, 0), "not a rotation"),
    "sform NaN": (280, "f", (np.nan,), "not finite"),
    "sform zero": (280, "12f", (0,) * 12, "zero axis"),
    "pair": (344, "4s", (b"ni1\0",), ".hdr/.img pair"),
    "Analyze": (344, "4s", (b"\0\0\0\0",), "lacks the mark"),
    "header size": (0, "i", (349,), "not a NIfTI file"),
    "NIfTI-2": (0, "i", (540,), "lacks the mark"),
}


@pytest.mark.parametrize("name", HEADER_PATCHES)
def test_impossible_headers(tmp_path, name):
    offset, code, values, message = HEADER_PATCHES[name]
    assert message in complaint(patch(save_nifti(tmp_path / "v.nii"), offset, code, *values))


def test_an_origin_far_away(tmp_path):
    affine = scanner_affine()
    affine[0, 3] = 1e30
    assert "impossible origin" in complaint(save_nifti(tmp_path / "v.nii", qform=affine, sform=affine))


def test_names_that_hide_the_compression(tmp_path):
    whole = save_nifti(tmp_path / "v.nii").read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(whole)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(whole))
    assert "rename it to .nii" in complaint(tmp_path / "plain.nii.gz")
    assert "rename it to packed.nii.gz" in complaint(tmp_path / "packed.nii")


def test_more_voxels_than_the_header_says(tmp_path):
    path = save_nifti(tmp_path / "v.nii", np.random.default_rng(0).normal(size=(20, 20, 20)))
    patch(path, 40, "4h", 3, 20, 20, 10)
    assert "more data" in complaint(path)
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert "more data" in complaint(tmp_path / "v.nii.gz")


# ------------------------------------------------------------------------------------------------ NIfTI-2


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti2_is_read_as_nibabel_reads_it(tmp_path, codes, suffix):
    _agrees_with_nibabel(save_nifti(tmp_path / f"v{suffix}", codes=codes, version=2))


def test_nifti2_big_endian_and_scaled(tmp_path):
    data = np.random.default_rng(0).integers(0, 1000, (7, 6, 5)).astype(">i2")
    image = nibabel.Nifti2Image(data, None, nibabel.Nifti2Header(endianness=">"))
    image.header.set_sform(scanner_affine(), 1)
    image.header["pixdim"][1:4] = 1.0, 1.5, 3.0
    image.header.set_slope_inter(0.5, -3.0)
    nibabel.save(image, tmp_path / "v.nii")
    assert (tmp_path / "v.nii").read_bytes()[:4] == b"\0\0\x02\x1c"
    _agrees_with_nibabel(tmp_path / "v.nii")


@pytest.mark.parametrize(
    ("offset", "code", "values", "message"),
    [
        (4, "4s", (b"ni2\0",), ".hdr/.img pair"),
        (8, "4s", (b"\n\n\n\n",), "as text is"),
        (12, "h", (128,), "RGB"),
        (16, "8q", (3, 7, 6, -5, 1, 1, 1, 1), "impossible size"),
        (16, "8q", (3, 2**40, 2**40, 2**40, 1, 1, 1, 1), "more than"),
        (104, "4d", (1, 0, 1, 1), "impossible voxel size"),
        (168, "q", (352,), "inside its own header"),
        (168, "q", (2**62,), "truncated"),
        (400, "d", (np.nan,), "not finite"),
        (500, "i", (5,), "unknown unit"),
    ],
)
def test_impossible_nifti2_headers(tmp_path, offset, code, values, message):
    assert message in complaint(patch(save_nifti(tmp_path / "v.nii", version=2), offset, code, *values))


@pytest.mark.parametrize("kept", [300, 543, 600])
def test_a_nifti2_file_that_ends_early(tmp_path, kept):
    path = save_nifti(tmp_path / "v.nii", version=2)
    path.write_bytes(path.read_bytes()[:kept])
    assert "truncated" in complaint(path)


def test_a_chosen_form_counts_and_the_record_hears_of_it(tmp_path):
    shifted = scanner_affine()
    shifted[0, 3] += 0.5
    path = save_nifti(tmp_path / "v.nii", sform=shifted)
    for form, affine in (("qform", scanner_affine()), ("sform", shifted)):
        notes: list[str] = []
        image = read_volume(path, geometry=form, warnings=notes)
        np.testing.assert_allclose(affine_lps(image), np.diag([-1, -1, 1, 1]) @ affine, atol=1e-4)
        assert len(notes) == 1 and f"0.5 mm apart; the {form} was chosen" in notes[0]
    assert "--geometry qform" in complaint(path)
    assert "no sform" in complaint(save_nifti(tmp_path / "q.nii", codes=(1, 0)), geometry="sform")
    notes = []
    read_volume(save_nifti(tmp_path / "n.nii", codes=(0, 0)), warnings=notes)
    assert "LPS axes assumed" in notes[0]


def test_nan_around_a_scan_becomes_zero_with_a_warning_and_nan_inside_is_refused(tmp_path):
    values = np.random.default_rng(0).normal(100, 20, (8, 9, 10)).astype(np.float32)
    values[:2], values[:, -1] = np.nan, np.nan
    notes: list[str] = []
    image = read_volume(save_nifti(tmp_path / "v.nii", values), warnings=notes)
    result = sitk.GetArrayFromImage(image).transpose()
    np.testing.assert_array_equal(result, np.nan_to_num(values))
    assert notes == [
        f"v.nii holds {int(np.isnan(values).sum())} voxels without a value (NaN) around the scan; they became 0."
    ]
    values[5, 4, 5] = np.nan
    assert "NaN or infinite" in complaint(save_nifti(tmp_path / "v.nii", values))


def test_an_archive_that_expands_beyond_all_scans_is_refused_at_once(tmp_path):
    path = save_nifti(tmp_path / "v.nii")
    patch(path, 40, "4h", 3, 900, 900, 900)
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert "which no scan holds" in complaint(tmp_path / "v.nii.gz")
