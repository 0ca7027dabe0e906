"""Slices that may lack, padding that is no measurement, and pixels that readers turn round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from support.dicom_files import GAP, mr_series, save_series

from SegSRGANLib.io.dicom.completeness import missing_slices
from SegSRGANLib.io.volume import VolumeError, read_volume


def _numbered(count: int, change: Callable[[Dataset], None] = lambda data: None) -> list[Dataset]:
    series = mr_series(np.eye(3), slices=count)
    for number, data in enumerate(series, start=1):
        data.InstanceNumber = number
        change(data)
    return series


def _notes(folder: Path, series: list[Dataset]) -> list[str]:
    folder.mkdir()
    for number, data in enumerate(series):
        data.save_as(folder / f"IM{number:03}", enforce_file_format=True)
    notes: list[str] = []
    read_volume(folder, warnings=notes)
    return notes


def test_every_second_slice_missing_is_a_warning(tmp_path):
    notes = _notes(tmp_path / "half", _numbered(8)[::2])
    assert (
        len(notes) == 1 and "may lack slices: 4 files are 6.00 mm apart, and they are numbered 1, 3 ... 7" in notes[0]
    )
    assert _notes(tmp_path / "whole", _numbered(8)) == []

    def every_third_and_said(data: Dataset) -> None:
        data.SpacingBetweenSlices, data.InstanceNumber = GAP, 1

    notes = _notes(tmp_path / "third", _numbered(9, every_third_and_said)[::3])
    assert len(notes) == 1 and "the scanner says that they are 3.00 mm apart" in notes[0]


@pytest.mark.parametrize(
    ("numbers", "stated"), [([1, 3, 5], 3.0), ([1, 2, 4], 0.0), ([7, 7, 7], 0.0), ([0, 0, 0], 2.9), ([1, 2, 3], 0.3)]
)
def test_numbers_that_speak_of_no_missing_slice(numbers, stated):
    """Of two echoes that take turns, one alone has every second number; the scanner's distance decides."""
    assert missing_slices(numbers, 0, GAP, stated) == []


@pytest.mark.parametrize("signed", [False, True])
def test_padding_becomes_0_with_a_warning(tmp_path, signed):
    series, stored = mr_series(np.eye(3)), []
    for data in series:
        data.RescaleSlope, data.RescaleIntercept, data.PixelRepresentation = "0.5", "-3", int(signed)
        values = np.frombuffer(data.PixelData, "<i2").reshape(data.Rows, data.Columns).copy()
        values[:, :2] = -7 if signed else -1
        stored.append(values.astype("<i2" if signed else "<u2").astype(float) * 0.5 - 3)
        data.PixelData = values.tobytes()
        data.add_new(0x00280120, "SS" if signed else "US", -7 if signed else 65535)
    notes: list[str] = []
    values = sitk.GetArrayFromImage(read_volume(save_series(tmp_path / "series", series), warnings=notes))
    expected = np.stack(stored)
    expected[:, :, :2] = 0
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert any("96 pixels that the scanner marked as padding; they became 0" in note for note in notes)


def test_pixels_that_readers_turn_round_are_refused(tmp_path):
    """GDCM gives 65535 minus the stored number."""
    series = mr_series()
    for data in series:
        data.PhotometricInterpretation = "MONOCHROME1"
    with pytest.raises(VolumeError, match="MONOCHROME1"):
        read_volume(save_series(tmp_path / "series", series))
