"""`segsrgan dicom`: a finished, perhaps corrected result into the study of its scan."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from support.command_line import model, predict, run  # noqa: F401 (a fixture)
from support.dicom_files import mr_series, save_series

from SegSRGANLib.io.volume import read_volume

highdicom = pytest.importorskip("highdicom", reason="needs the extra dicom")
pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")


@pytest.fixture
def finished(tmp_path, capfd, model):  # noqa: F811
    """A scan and its result, whose cortex was corrected: it is one box now."""
    scan = save_series(tmp_path / "scan", mr_series())
    assert predict(capfd, scan, tmp_path / "out", model)[0] == 0
    labels = tmp_path / "out" / "scan_cortex.nii.gz"
    image = sitk.ReadImage(str(labels))
    corrected = np.zeros(image.GetSize()[::-1], np.uint8)
    corrected[2:5, 1:4, 2:4] = 1
    drawn = sitk.GetImageFromArray(corrected)
    drawn.CopyInformation(image)
    sitk.WriteImage(drawn, str(labels))
    return scan, tmp_path / "out" / "scan_record.json", corrected


def test_a_corrected_result_goes_into_the_study(finished, tmp_path, capfd):
    scan, record, corrected = finished
    status, _out, error = run(capfd, "dicom", record, "--source", scan, "--edited", "-o", tmp_path / "d")
    assert status == 0, error
    segmentation = highdicom.seg.segread(tmp_path / "d" / "cortex.dcm")
    assert segmentation.get_volume(combine_segments=True).array.sum() == corrected.sum()
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert segmentation.StudyInstanceUID == "1.2.3" and str(segmentation.PatientName) == "Doe^Jane"
    written = read_volume(tmp_path / "d" / "sr")
    ours = read_volume(tmp_path / "out" / "scan_sr.nii.gz")
    assert sorted(written.GetSize()) == sorted(ours.GetSize())
    assert not list(tmp_path.glob(".partial*"))


def test_unedited_segments_are_automatic_and_one_file_names_the_series(finished, tmp_path, capfd):
    scan, record, _corrected = finished
    one = sorted(scan.iterdir())[0]
    assert run(capfd, "dicom", record, "--source", one, "-o", tmp_path / "d")[0] == 0
    segment = pydicom.dcmread(tmp_path / "d" / "cortex.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "AUTOMATIC"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("record", "is no record of a result"),
        ("model", "does not say which model"),
        ("place", "does not lie where the DICOM series does"),
        ("full", "is not empty"),
        ("source", "is not a DICOM series"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_sentence(finished, tmp_path, capfd, change, sentence):
    scan, record, _corrected = finished
    target = tmp_path / "d"
    if change == "record":
        record = tmp_path / "out" / "scan_sr.nii.gz"
    elif change == "model":
        record.write_text(json.dumps({"classes": ["cortex"]}))
    elif change == "place":
        scan = save_series(tmp_path / "moved", mr_series(step=(0.0, 0.0, 30.0), axes=np.eye(3)))
    elif change == "full":
        target.mkdir()
        (target / "mine.txt").write_text("keep")
    else:
        scan = tmp_path / "out" / "scan_sr.nii.gz"
    status, _out, error = run(capfd, "dicom", record, "--source", scan, "-o", target)
    assert status == 1 and sentence in error and error.count("Error") == 1
    assert (target / "mine.txt").is_file() if change == "full" else not target.exists()


def test_a_list_of_dicom_files_is_a_batch(finished, tmp_path, capfd, model):  # noqa: F811
    """As the panel writes it for patients of a database: one file names its series, another column the result."""
    scan, _record, _corrected = finished
    one = sorted(scan.iterdir())[0]
    (tmp_path / "list.csv").write_text(f"input,output\n{one},P-17-T2\n")
    fixed = ("--mask", "none", "--spacing", 0.9, "--patch", 32, "--device", "cpu")
    status, _out, error = run(capfd, "batch", tmp_path / "list.csv", "-o", tmp_path / "b", "-m", model, *fixed)
    assert status == 0, error
    ours, batch = tmp_path / "out" / "scan_sr.nii.gz", tmp_path / "b" / "P-17-T2_sr.nii.gz"
    np.testing.assert_array_equal(*(sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (ours, batch)))
