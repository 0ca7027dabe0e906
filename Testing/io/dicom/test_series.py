"""DICOM series: stacked by position whatever the files' names and order; what is no regular stack is refused."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.dicom_files import GAP, SHAPE, START, mr_series, save_series, slice_values
from support.grids import oblique_direction
from support.volume_files import affine_lps, complaint

from SegSRGANLib.io.volume import read_volume


def _file_of(folder: Path, k: int) -> Path:
    """The file of slice k."""
    values = slice_values()[k].tobytes()
    return next(p for p in folder.iterdir() if values in p.read_bytes())


@pytest.mark.parametrize("turns", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.5), (1.4, 0.2, 3.0)])
def test_voxels_and_places(tmp_path, turns):
    axes = oblique_direction(turns)
    image = read_volume(save_series(tmp_path / "series", mr_series(axes)))
    expected = np.eye(4)
    expected[:3, :3] = axes * np.array([0.75, 0.5, GAP])
    expected[:3, 3] = START
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), slice_values())
    np.testing.assert_allclose(affine_lps(image), expected, atol=1e-4)
    assert image.GetMetaDataKeys() == ()


def test_slices_stored_from_the_top_make_the_same_volume(tmp_path):
    up = read_volume(save_series(tmp_path / "up", mr_series()))
    down = read_volume(save_series(tmp_path / "down", mr_series()[::-1]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(up), sitk.GetArrayFromImage(down))
    np.testing.assert_allclose(affine_lps(up), affine_lps(down))


def test_the_spacing_is_averaged_over_all_slices(tmp_path):
    """Positions rounded to 0.01 mm: the first two alone would give 3.00 mm instead of 2.996."""
    axes = np.eye(3)
    series = mr_series(axes, slices=12)
    for k, data in enumerate(series):
        data.ImagePositionPatient = [0, 0, round(2.996 * k, 2)]
    image = read_volume(save_series(tmp_path / "series", series))
    assert image.GetSpacing()[2] == pytest.approx(2.996, abs=5e-4)
    assert image.GetOrigin()[2] == pytest.approx(0, abs=0.005)


def test_each_slice_has_its_own_rescaling(tmp_path):
    series = mr_series()
    slopes = np.array([1, 0.5, 2, 1.25, 3, 1])
    for data, slope in zip(series, slopes, strict=True):
        data.RescaleSlope, data.RescaleIntercept = float(slope), -10
    values = sitk.GetArrayFromImage(read_volume(save_series(tmp_path / "series", series)))
    np.testing.assert_allclose(values, slice_values() * slopes[:, None, None] - 10, rtol=1e-6)


def test_other_files_in_the_folder_are_skipped(tmp_path):
    folder = save_series(tmp_path / "series", mr_series())
    (folder / "README.txt").write_text("not a slice" * 50)
    (folder / "empty").write_bytes(b"")
    (folder / "subfolder").mkdir()
    report = mr_series(slices=1)[0]
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    del report.PixelData, report.Rows, report.Columns
    report.save_as(folder / "SR0001", enforce_file_format=True)
    assert read_volume(folder).GetSize() == (7, 8, 6)


def test_several_series_are_listed_and_one_is_chosen(tmp_path):
    folder = save_series(tmp_path / "study", mr_series())
    save_series(folder, mr_series(uid="9.8.7", description="localizer", slices=4), prefix="LOC")
    text = complaint(folder)
    assert "2 DICOM series" in text
    assert "'T2 axial' (6 slices, UID 1.2.3.4)" in text and "'localizer' (4 slices, UID 9.8.7)" in text
    assert read_volume(folder, series="T2 axial").GetSize() == (7, 8, 6)
    assert read_volume(folder, series="9.8.7").GetSize() == (7, 8, 4)
    assert read_volume(folder / "LOC0000").GetSize() == (7, 8, 4)
    assert "no DICOM series 'T1'" in complaint(folder, series="T1")
    save_series(folder, mr_series(uid="5.5", slices=3), prefix="AGAIN")
    assert "UID 5.5" in complaint(folder, series="T2 axial")


def test_a_screenshot_beside_the_series_does_not_matter(tmp_path):
    folder = save_series(tmp_path / "study", mr_series())
    screenshot = mr_series(uid="7.7", description="Écran", slices=1)
    screenshot[0].SpecificCharacterSet = "ISO_IR 100"
    del screenshot[0].ImagePositionPatient
    save_series(folder, screenshot, prefix="SC")
    assert read_volume(folder).GetSize() == (7, 8, 6)
    assert "'?cran' (1 slices, UID 7.7)" in complaint(folder, series="T1")
    with pytest.raises(ValueError, match="^SC0000 does not say its position"):
        read_volume(folder, series="7.7")


def test_missing_slices_are_named_by_position(tmp_path):
    series = mr_series(np.eye(3))
    folder = save_series(tmp_path / "series", series)
    before, after = _file_of(folder, 1), _file_of(folder, 4)
    for k in (2, 3):
        _file_of(folder, k).unlink()
    text = complaint(folder)
    assert "lacks 2 slice(s)" in text
    assert f"{before.name} at (-100.25, 20.50, 36.12)" in text and f"{after.name} at (-100.25, 20.50, 45.12)" in text


def test_stacks_that_are_not_regular(tmp_path):
    twice = mr_series()
    twice[3].ImagePositionPatient = twice[2].ImagePositionPatient
    assert "two slices at one position" in complaint(save_series(tmp_path / "twice", twice))
    uneven = mr_series(np.eye(3))
    uneven[3].ImagePositionPatient = [*START[:2], START[2] + 3 * GAP + 0.5]
    assert "irregular distances (2.50 to 3.50 mm)" in complaint(save_series(tmp_path / "uneven", uneven))
    tilted = mr_series(np.eye(3), step=(0, 0.4, GAP))
    assert "shifted against each other by 2.00 mm" in complaint(save_series(tmp_path / "tilted", tilted))
    assert "single slice" in complaint(save_series(tmp_path / "one", mr_series(slices=1)))


def test_slices_of_another_stack(tmp_path):
    turned = mr_series()
    turned[2].ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    assert "different orientation" in complaint(save_series(tmp_path / "turned", turned))
    coarse = mr_series()
    coarse[2].PixelSpacing = [0.6, 0.75]
    assert "different pixel spacing" in complaint(save_series(tmp_path / "coarse", coarse))
    small = mr_series()
    small[2].Rows, small[2].Columns = small[2].Columns, small[2].Rows
    assert "different size" in complaint(save_series(tmp_path / "small", small))


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_slices_without_geometry(tmp_path, tag):
    series = mr_series()
    delattr(series[0], tag)
    with pytest.raises(ValueError, match=r"^IM000\d does not say its (position|orientation|pixel spacing)"):
        read_volume(save_series(tmp_path / "series", series))


def test_slices_that_are_damaged_or_no_slices(tmp_path):
    folder = save_series(tmp_path / "series", mr_series())
    file = _file_of(folder, 0)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=f"^{file.name} is a damaged DICOM file"):
        read_volume(folder)
    frames = mr_series(slices=1)
    frames[0].NumberOfFrames, frames[0].PixelData = 6, slice_values().tobytes()
    with pytest.raises(ValueError, match=r"multi-frame DICOM file of 6 frames.*dcm2niix"):
        read_volume(save_series(tmp_path / "frames", frames))
    colour = mr_series()
    for data in colour:
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
        data.PixelData = bytes(SHAPE[1] * SHAPE[2] * 3)
    with pytest.raises(ValueError, match="colour pixels"):
        read_volume(save_series(tmp_path / "colour", colour))
