"""Numbers and lengths of DICOM headers: read as the standard writes them, or refused; never guessed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless
from support.dicom_files import GAP, START, mr_series, mr_slice, save_series, slice_values
from support.volume_files import affine_lps

from SegSRGANLib.io.volume import VolumeError, read_volume


def _refusal(path: Path) -> str:
    """The one sentence with which a series is refused."""
    with pytest.raises(VolumeError) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _with_text(folder: Path, keyword: str, text: str) -> Path:
    """The series, with the raw text of one decimal string in slice 2."""
    series = mr_series(np.eye(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in series:
            data.RescaleSlope, data.RescaleIntercept = 1, 0
        element = series[2][keyword]
        series[2].pop(keyword)
        raw = text.encode() + b" " * (len(text) % 2)
        series[2][keyword] = RawDataElement(element.tag, "DS", len(raw), raw, 0, False, True, True)
        before, config.settings.writing_validation_mode = config.settings.writing_validation_mode, config.IGNORE
        try:
            return save_series(folder, series)
        finally:
            config.settings.writing_validation_mode = before


@pytest.mark.parametrize(
    ("keyword", "text", "meaning"),
    [
        ("PixelSpacing", "0,45\\0,45", "pixel spacing of '0,45"),
        ("PixelSpacing", "fine\\fine", "pixel spacing of 'fine"),
        ("PixelSpacing", "0.5", "pixel spacing of '0.5'"),
        ("PixelSpacing", "nan\\nan", "pixel spacing of 'nan"),
        ("PixelSpacing", "-0.5\\0.5", "impossible position or pixel spacing"),
        ("RescaleSlope", "2,5", "rescale slope of '2,5'"),
        ("RescaleSlope", "abc", "rescale slope of 'abc'"),
        ("RescaleSlope", "0", "rescale slope of '0'"),
        ("RescaleIntercept", "1 000", "intercept of '1 000'"),
        ("ImagePositionPatient", "0\\0\\3,5", "position of '0"),
        ("ImagePositionPatient", "0\\0\\1e9", "impossible position"),
        ("ImageOrientationPatient", "1\\0\\0\\0\\1", "orientation of '1"),
    ],
)
def test_numbers_that_are_not_as_the_standard_writes_them(tmp_path, keyword, text, meaning):
    assert meaning in _refusal(_with_text(tmp_path / "series", keyword, text))


def test_numbers_with_blanks_signs_and_exponents_are_read(tmp_path):
    folder = _with_text(tmp_path / "series", "PixelSpacing", "+.5E0 \\ 75e-2")
    assert read_volume(folder).GetSpacing()[:2] == pytest.approx((0.75, 0.5))


@pytest.mark.parametrize("cut", [0.5, 0.98, 1.5])
def test_pixels_of_another_length_than_the_header_says(tmp_path, cut):
    series = mr_series()
    count = int(len(series[3].PixelData) * cut) // 2 * 2
    series[3].PixelData = (series[3].PixelData * 2)[:count]
    assert f"holds {count} bytes of pixels" in _refusal(save_series(tmp_path / "series", series))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_run_length_pixels_that_are_cut_off(tmp_path, share):
    """GDCM reads a frame that lacks one percent without a word."""
    values = np.random.default_rng(0).integers(0, 1000, (3, 64, 48)).astype("<u2")
    series = [mr_slice(v, np.eye(3), START + [0, 0, GAP * k], "1.2", "") for k, v in enumerate(values)]
    for data in series:
        data.compress(RLELossless)
    folder = save_series(tmp_path / "series", series)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(folder)), values)
    frame = next(generate_frames(series[1].PixelData, number_of_frames=1))
    series[1].PixelData = encapsulate([frame[: int(len(frame) * share) // 2 * 2]])
    series[1]["PixelData"].VR, series[1]["PixelData"].is_undefined_length = "OB", True
    assert "is a damaged DICOM file" in _refusal(save_series(tmp_path / "cut", series))


@pytest.mark.parametrize("damage", ["no pixels", "no size", "no size, and another class"])
def test_an_end_slice_without_image_is_not_passed_by(tmp_path, damage):
    series = mr_series()
    delattr(series[-1], "PixelData" if damage == "no pixels" else "Rows")
    folder = save_series(tmp_path / "series", series)
    if "class" in damage:  # one damaged byte, in the data set but not in the file's own header
        file = next(p for p in folder.iterdir() if len(p.read_bytes()) != len(min(folder.iterdir()).read_bytes()))
        head, tail = file.read_bytes().rsplit(b"1.2.840.10008.5.1.4.1.1.4", 1)
        file.write_bytes(head + b"1.2.840.10008.5.1.4.1.1.;" + tail)
    assert "damaged DICOM file" in _refusal(folder)


def _numbered(slices: slice) -> list[Dataset]:
    series = mr_series(np.eye(3))
    for number, data in enumerate(series, start=1):
        data.InstanceNumber = number
        data.ImagesInAcquisition = len(series)
    return series[slices]


def _saved(folder: Path, series: list[Dataset], change: Callable[[Dataset], None] = lambda data: None) -> Path:
    folder.mkdir()
    for k, data in enumerate(series):
        change(data)
        data.save_as(folder / f"IM{k:04d}", enforce_file_format=True)
    return folder


def test_a_missing_end_slice_is_a_warning(tmp_path):
    def without_count(data: Dataset) -> None:
        del data.ImagesInAcquisition

    for name, series, change in (
        ("last", _numbered(slice(0, 5)), lambda data: None),
        ("first", _numbered(slice(1, 6)), without_count),
    ):
        notes: list[str] = []
        read_volume(_saved(tmp_path / name, series, change), warnings=notes)
        assert len(notes) == 1 and "may lack a slice at its end: it has 5 files" in notes[0]
    notes = []
    read_volume(_saved(tmp_path / "whole", _numbered(slice(0, 6))), warnings=notes)
    assert notes == []


def _enhanced(folder: Path, order: list[int]) -> Path:
    """The series as one enhanced multi-frame file, by hand: frames in the order of the numbers."""
    series = mr_series(np.eye(3))
    data = series[0]
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    shared, pixel, plane, frames = Dataset(), Dataset(), Dataset(), []
    pixel.PixelSpacing, pixel.SliceThickness = data.PixelSpacing, GAP
    plane.ImageOrientationPatient = data.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [pixel], [plane]
    for k in order:
        frame, place, transform = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = series[k].ImagePositionPatient
        transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = 1 + k, -10, "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [transform]
        frames.append(frame)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    data.NumberOfFrames, data.FrameOfReferenceUID = len(order), "1.2.9"
    data.PixelData = slice_values()[order].tobytes()
    del data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing, data.SliceThickness
    folder.mkdir()
    data.save_as(folder / "enhanced", enforce_file_format=True)
    return folder


def test_enhanced_multi_frame_makes_the_volume_of_the_single_slices(tmp_path):
    pytest.importorskip("highdicom")
    series = mr_series(np.eye(3))
    for k, data in enumerate(series):
        data.RescaleSlope, data.RescaleIntercept = 1 + k, -10
    single = read_volume(save_series(tmp_path / "single", series))
    for place in (_enhanced(tmp_path / "a", [3, 0, 1, 5, 4, 2]), _enhanced(tmp_path / "b", [5, 4, 3, 2, 1, 0])):
        image = read_volume(place)
        np.testing.assert_allclose(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(single))
        np.testing.assert_allclose(affine_lps(image), affine_lps(single), atol=1e-4)
        np.testing.assert_allclose(image.GetOrigin(), START, atol=1e-4)
        assert image.GetMetaDataKeys() == ()


def test_padding_in_an_enhanced_multi_frame_becomes_0(tmp_path):
    pytest.importorskip("highdicom")
    folder = _enhanced(tmp_path / "padded", [0, 1, 2, 3, 4, 5])
    before, file = sitk.GetArrayFromImage(read_volume(folder)), next(folder.iterdir())
    data = dcmread(file)
    stored = np.frombuffer(data.PixelData, "<u2").reshape(before.shape).copy()
    stored[:, :2] = 65535
    data.PixelData = stored.tobytes()
    data.add_new(0x00280120, "US", 65535)
    data.save_as(file)
    notes: list[str] = []
    values = sitk.GetArrayFromImage(read_volume(folder, warnings=notes))
    np.testing.assert_array_equal(values[:, 2:], before[:, 2:])
    assert not values[:, :2].any() and "84 pixels that the scanner marked as padding" in notes[0]


def test_enhanced_multi_frame_that_lacks_a_frame_or_the_reader(tmp_path, monkeypatch):
    pytest.importorskip("highdicom")
    assert "do not make one regular volume" in _refusal(_enhanced(tmp_path / "gap", [0, 1, 2, 4, 5]))
    whole = _enhanced(tmp_path / "whole", list(range(6)))
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    text = _refusal(whole)
    assert "enhanced multi-frame DICOM file" in text and "pydicom highdicom" in text
