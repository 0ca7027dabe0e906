"""Volumes survive writing and reading; files that are damaged, or no volumes, are refused with one sentence."""

import gzip
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from support.grids import awkward_grids
from support.volume_files import SUFFIXES, complaint, corners, patch, save_nifti, small_image, substitute

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.io.volume import VolumeError, read_labels, read_volume, write_volume

ROOT = Path(__file__).resolve().parents[2]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(params=SUFFIXES)
def suffix(request) -> str:
    return request.param


# ------------------------------------------------------------------------------------------------ round trips


@pytest.mark.parametrize("name", awkward_grids())
def test_round_trip_keeps_voxels_and_places(tmp_path, suffix, name):
    image = small_image(awkward_grids()[name])
    write_volume(image, tmp_path / f"v{suffix}")
    back = read_volume(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(corners(back), corners(image), atol=1e-4)
    assert list(tmp_path.iterdir()) == [tmp_path / f"v{suffix}"]


@pytest.mark.parametrize("name", awkward_grids())
def test_written_nifti_has_equal_qform_and_sform_in_mm(tmp_path, name):
    image = small_image(awkward_grids()[name])
    write_volume(image, tmp_path / "v.nii.gz")
    read = nibabel.load(tmp_path / "v.nii.gz")
    header, expected = read.header, np.eye(4)
    expected[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    expected[:3, 3] = image.GetOrigin()
    assert (header["qform_code"], header["sform_code"]) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(header.get_sform(), LPS_TO_RAS @ expected, atol=1e-5)
    np.testing.assert_allclose(header.get_qform(), LPS_TO_RAS @ expected, atol=1e-5)
    np.testing.assert_array_equal(read.get_fdata(), sitk.GetArrayFromImage(image).T)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_written_nifti_keeps_the_voxel_type(tmp_path, dtype):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    write_volume(sitk.GetImageFromArray(values), tmp_path / "v.nii")
    read = nibabel.load(tmp_path / "v.nii")
    assert read.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asanyarray(read.dataobj), values.T)


def test_metadata_stays_out_of_results_and_in_the_callers_image(tmp_path, suffix):
    image = small_image()
    image.SetMetaData("0010|0010", "Doe^Jane")
    image.SetMetaData("ITK_FileNotes", "Doe^Jane")
    write_volume(image, tmp_path / f"v{suffix}")
    sitk.WriteImage(image, str(tmp_path / f"with{suffix}"))
    assert b"Doe" not in (tmp_path / f"v{suffix}").read_bytes()
    assert read_volume(tmp_path / f"with{suffix}").GetMetaDataKeys() == ()
    assert image.GetMetaData("0010|0010") == "Doe^Jane"


def test_names_with_blanks_dots_and_other_letters(tmp_path, suffix):
    path = tmp_path / "Müller\u00a0新生児" / f"sub-01 0.5mm{suffix}"
    write_volume(small_image(), path)
    assert read_volume(str(path)).GetSize() == (7, 6, 5)


def test_slightly_rounded_axes_are_made_perpendicular(tmp_path):
    image = small_image()
    image.SetDirection(np.round(image.GetDirection(), 5).tolist())
    write_volume(image, tmp_path / "v.nii")
    axes = np.array(read_volume(tmp_path / "v.nii").GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    header = nibabel.load(tmp_path / "v.nii").header
    np.testing.assert_allclose(header.get_sform(), header.get_qform(), atol=1e-5)
    assert image.GetDirection() == tuple(np.round(image.GetDirection(), 5))


# ------------------------------------------------------------------------------------------------ writing fails


def test_an_existing_file_is_replaced_and_its_folder_made(tmp_path, suffix):
    path = tmp_path / "new" / "folder" / f"v{suffix}"
    for seed in (1, 2):
        write_volume(small_image(seed=seed), path)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_volume(path)), sitk.GetArrayFromImage(small_image(seed=2))
    )


def test_a_folder_that_cannot_be_written(tmp_path, suffix):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VolumeError, match="cannot be written .*: choose a folder that is writable"):
        write_volume(small_image(), tmp_path / "file" / f"v{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(VolumeError, match="a folder has this name"):
        write_volume(small_image(), tmp_path / f"folder{suffix}")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["file", f"folder{suffix}"])


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits on the size of a file")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    write_volume(small_image(), path)
    before = path.read_bytes()
    code = f"""
        import resource, signal, sys
        import numpy as np, SimpleITK as sitk
        from SegSRGANLib.io.volume import VolumeError, write_volume
        noise = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_volume(sitk.GetImageFromArray(noise), {str(path)!r})
        except VolumeError as error:
            sys.exit("Error: " + str(error))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "free space" in done.stderr
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_images_that_are_not_written(tmp_path):
    values = np.ones((4, 4, 4, 3), np.float32)
    sheared = small_image()
    sheared.SetDirection([1, 0.1, 0, 0, 1, 0, 0, 0, 1])
    refused = {
        "only 3D images": sitk.GetImageFromArray(values[..., 0, 0]),
        "only 3D images of one": sitk.GetImageFromArray(values, isVector=True),
        "4 dimensions": sitk.GetImageFromArray(values, isVector=False),
        "complex": sitk.GetImageFromArray(values[..., 0].astype(np.complex64)),
        "not perpendicular": sheared,
    }
    for message, image in refused.items():
        with pytest.raises(VolumeError, match=message):
            write_volume(image, tmp_path / "v.nii.gz")
    with pytest.raises(VolumeError, match="40000 voxels along an axis"):
        write_volume(sitk.Image(40000, 2, 2, sitk.sitkUInt8), tmp_path / "v.nii.gz")
    for name, message in {"v.png": "unknown format", "v.img": "pair", "v": "unknown format"}.items():
        with pytest.raises(VolumeError, match=message):
            write_volume(small_image(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ damaged files


def _save(path: Path, compressed: bool = True) -> Path:
    sitk.WriteImage(small_image(), str(path), useCompression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_every_truncation_is_noticed(tmp_path, suffix, compressed):
    whole = _save(tmp_path / f"whole{suffix}", compressed).read_bytes()
    path = tmp_path / f"v{suffix}"
    for length in [*range(1, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:length])
        complaint(path)
    path.write_bytes(b"")
    assert "is empty" in complaint(path)
    path.write_bytes(whole)
    read_volume(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_damaged_byte_of_compressed_voxels_is_noticed(tmp_path, suffix):
    whole = _save(tmp_path / f"whole{suffix}").read_bytes()
    path = tmp_path / f"v{suffix}"
    for place in range(len(whole) - 500, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 0x55
        path.write_bytes(content)
        assert "damaged" in complaint(path) or "truncated" in complaint(path) or "more data" in complaint(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".nhdr", ".mhd"])
def test_a_text_with_a_volumes_name(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    path.write_text("To whom it may concern: this is not a volume.\n" * 30)
    assert "is not" in complaint(path)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_header_of_30000_cubed_voxels_allocates_nothing(tmp_path, suffix):
    path = _save(tmp_path / f"v{suffix}", compressed=False)
    if suffix == ".nii":
        patch(path, 40, "4h", 3, 30000, 30000, 30000)
    else:
        substitute(path, "7 6 5", "30000 30000 30000")
    assert "30000 x 30000 x 30000" in complaint(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_voxels_that_cannot_be_in_so_small_a_file(tmp_path, suffix):
    image = sitk.Image(64, 64, 64, sitk.sitkInt16)
    path = tmp_path / f"v{suffix}"
    sitk.WriteImage(image, str(path), useCompression=True)
    content = path.read_bytes()
    if suffix == ".nii.gz":
        header = bytearray(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)).to_bytes())
        header[40:48] = np.array([3, 900, 900, 900], "<i2").tobytes()
        path.write_bytes(gzip.compress(bytes(header)))
    else:
        path.write_bytes(content.replace(b"64 64 64", b"900 900 900"))
    assert "truncated" in complaint(path)


def test_missing_files_and_unknown_formats(tmp_path):
    assert "does not exist" in complaint(tmp_path / "nothing.nii.gz")
    assert "no DICOM image" in complaint(tmp_path)
    for name in ("v.txt", "v.png", "v"):
        (tmp_path / name).write_text("x" * 500)
        assert "unknown format" in complaint(tmp_path / name)
    for name in ("v.hdr", "v.img", "v.img.gz"):
        (tmp_path / name).write_text("x" * 500)
        assert ".hdr/.img pair" in complaint(tmp_path / name)
    write_volume(small_image(), tmp_path / "v.nii")
    assert "not a DICOM series" in complaint(tmp_path / "v.nii", series="T2")


@pytest.mark.parametrize("name", ["caf\udce9.nii", "line\nbreak.nii", "nul\0.nii"])
def test_names_that_no_program_can_show(tmp_path, name):
    for act in (read_volume, lambda path: write_volume(small_image(), path)):
        with pytest.raises(VolumeError, match=r"unreadable characters") as caught:
            act(tmp_path / name)
        assert str(caught.value).isprintable()


# ------------------------------------------------------------------------------------------------ what is no volume


def _image(values: np.ndarray, **arguments) -> sitk.Image:
    return sitk.GetImageFromArray(values, **arguments)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "1 voxels that are NaN or infinite"), (-np.inf, "NaN or infinite")]
)
def test_values_that_are_not_finite(tmp_path, suffix, value, message):
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    values[2, 3, 4] = value
    sitk.WriteImage(_image(values), str(tmp_path / f"v{suffix}"))
    assert message in complaint(tmp_path / f"v{suffix}")
    assert message in complaint(tmp_path / f"v{suffix}", read_labels)


def test_double_precision_that_overflows(tmp_path):
    sitk.WriteImage(_image(np.geomspace(1, 1e200, 60).reshape(3, 4, 5)), str(tmp_path / "v.nii"))
    assert "infinite" in complaint(tmp_path / "v.nii")


@pytest.mark.parametrize("value", [0, 7.5])
def test_a_constant_volume(tmp_path, suffix, value):
    sitk.WriteImage(_image(np.full((4, 5, 6), value, np.float32)), str(tmp_path / f"v{suffix}"))
    assert f"same value, {value:g}, in every voxel" in complaint(tmp_path / f"v{suffix}")


def test_shapes_that_are_no_volume(tmp_path, suffix):
    values = np.random.default_rng(0).normal(100, 20, size=(4, 5, 6, 3)).astype(np.float32)
    several = "several frames or components" if suffix == ".nrrd" else None
    refused = {
        "2d": (_image(values[0, ..., 0]), "2 dimensions"),
        "slice": (_image(values[:1, ..., 0]), "single slice"),
        "4d": (_image(values, isVector=False), several or "4D series of 4 frames"),
        "vector": (_image(values, isVector=True), several or "3 values per voxel"),
        "rgb": (_image(values.astype(np.uint8), isVector=True), several or "RGB voxels|3 values per voxel"),
    }
    for name, (image, message) in refused.items():
        sitk.WriteImage(image, str(tmp_path / f"{name}{suffix}"))
        assert re.search(message, complaint(tmp_path / f"{name}{suffix}"))


def test_one_frame_in_four_dimensions_is_squeezed(tmp_path, suffix):
    image = small_image()
    path = tmp_path / f"v{suffix}"
    sitk.WriteImage(sitk.JoinSeries([image]), str(path))
    back = read_volume(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(corners(back), corners(image), atol=1e-4)


@pytest.mark.parametrize("spacing", [1e-5, 1e4])
def test_voxel_sizes_in_the_wrong_unit(tmp_path, suffix, spacing):
    image = small_image(Grid((7, 6, 5), (spacing,) * 3, (0.0, 0.0, 0.0), tuple(np.eye(3).ravel())))
    sitk.WriteImage(image, str(tmp_path / f"v{suffix}"))
    assert "impossible voxel size" in complaint(tmp_path / f"v{suffix}")


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("dtype", "top", "expected"),
    [
        (np.float32, 1, sitk.sitkUInt8),
        (np.int16, 255, sitk.sitkUInt8),
        (np.uint8, 3, sitk.sitkUInt8),
        (np.float64, 256, sitk.sitkInt16),
        (np.uint16, 40000, sitk.sitkInt32),
    ],
)
def test_labels_become_the_smallest_integers(tmp_path, suffix, dtype, top, expected):
    values = (np.arange(60).reshape(3, 4, 5) % 3 * (top // 2 or 1)).clip(0, top).astype(dtype)
    values[0, 0, 0] = top
    sitk.WriteImage(_image(values), str(tmp_path / f"v{suffix}"))
    labels = read_labels(tmp_path / f"v{suffix}")
    assert labels.GetPixelID() == expected
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), values)


def test_negative_labels_and_a_mask_of_ones(tmp_path):
    write_volume(_image(np.full((3, 4, 5), 1.0, np.float32)), tmp_path / "mask.nii.gz")
    assert read_labels(tmp_path / "mask.nii.gz").GetPixelID() == sitk.sitkUInt8
    write_volume(_image(np.full((3, 4, 5), -1, np.int16)), tmp_path / "v.nii.gz")
    assert read_labels(tmp_path / "v.nii.gz").GetPixelID() == sitk.sitkInt16


def test_labels_that_are_none(tmp_path):
    values = np.zeros((3, 4, 5), np.float32)
    for value, message in ((0, "zero in every voxel"), (0.5, "not whole numbers"), (1e12, "renumber")):
        values[1, 1, 1] = value
        write_volume(_image(values), tmp_path / "v.nii.gz")
        assert message in complaint(tmp_path / "v.nii.gz", read_labels)


def test_scaled_nifti_labels(tmp_path):
    path = save_nifti(tmp_path / "v.nii", np.arange(210).reshape(7, 6, 5).astype(np.int16) % 3)
    patch(path, 112, "2f", 2.0, 0.0)
    assert sitk.GetArrayFromImage(read_labels(path)).max() == 4
