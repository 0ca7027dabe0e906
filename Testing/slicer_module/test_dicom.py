"""DICOM in the panel: a scan from DICOM, its corrected result back into the study, and patients in the Batch tab."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from harness.fixtures import answers, applied, cleanScene, models, panel, slicer, standIn, waitFor  # noqa: F401

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
highdicom = pytest.importorskip("highdicom", reason="needs the extra dicom")
from support.dicom_files import START, mr_slice, save_series  # noqa: E402
from support.grids import oblique_direction  # noqa: E402

import dicom_database  # isort: skip  # noqa: E402
import phantoms  # isort: skip  # noqa: E402
import qt  # isort: skip  # noqa: E402
from SegSRGANModule.Jobs import ChildProcess  # isort: skip  # noqa: E402
from SegSRGANModule.Panel.Questions import Questions  # isort: skip  # noqa: E402
from SegSRGANModule.Scene import Cases, DicomDatabase  # isort: skip  # noqa: E402

RECORD = {
    "software": {"segsrgan": "1.2.3"},
    "model": {"name": "stand-in", "title": "Stand-in", "sha256": "ab" * 32},
    "classes": ["cortex"],
}


def _series(folder, patient="Doe^Jane", number="17"):
    """A scan of the phantom, oblique, as a scanner writes it."""
    values = np.rint(phantoms.ellipsoids()).astype("<u2")
    axes, uid = oblique_direction(), f"1.2.3.4.{number}"
    slices = [mr_slice(v, axes, START + k * 3.0 * axes[:, 2], uid, "T2 axial") for k, v in enumerate(values)]
    for data in slices:
        data.PatientName, data.PatientID, data.StudyDate = patient, f"P-{number}", "20260105"
        data.StudyInstanceUID, data.SeriesNumber = f"1.2.3.{number}", 5
    return save_series(folder, slices)


@pytest.fixture
def fromDicom(panel, standIn, tmp_path, monkeypatch):  # noqa: F811
    """A scan loaded from its slices, and enhanced."""
    monkeypatch.setenv("SEGSRGAN_STAND_IN_RECORD", json.dumps(RECORD))
    folder = _series(tmp_path / "scan")
    scan = slicer.util.loadVolume(str(sorted(folder.iterdir())[0]), {"name": "T2w"})
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = scan, 1.0
    applied(panel)
    return parameters


def _wait(panel) -> None:  # noqa: F811
    waitFor(lambda: panel.qualityTab.dicom.run is None)


def _correct(parameters) -> np.ndarray:
    """A person draws a box in place of the cortex."""
    values = np.zeros_like(slicer.util.arrayFromVolume(parameters.outputVolume), np.uint8)
    values[4:9, 5:15, 3:9] = 1
    node, volume = parameters.outputSegmentation, parameters.outputVolume
    slicer.util.updateSegmentBinaryLabelmapFromArray(values, node, "cortex", volume)
    return values


def _realChild(monkeypatch) -> None:
    monkeypatch.setattr(ChildProcess, "command", lambda script: [sys.executable, str(script)])


def test_a_scan_that_is_no_dicom_has_no_study(panel, standIn):  # noqa: F811
    phantoms.node()
    panel.enter()
    applied(panel)
    assert not panel.ui.saveDicomButton.enabled
    assert "not loaded from DICOM" in panel.ui.saveDicomButton.toolTip


def test_a_corrected_result_goes_into_the_study_and_the_database(panel, fromDicom, answers, tmp_path, monkeypatch):  # noqa: F811
    """There and back by the real library: what the SEG holds is what the person drew, at its place."""
    _realChild(monkeypatch)
    database = dicom_database.install(monkeypatch, tmp_path / "database")
    drawn = _correct(fromDicom)
    answers.choice = lambda choices: choices[0]
    panel.ui.saveDicomButton.click()
    assert "Writing DICOM" in panel.ui.recordLabel.text and not panel.ui.saveDicomButton.enabled
    _wait(panel)
    assert "in Slicer's DICOM database" in panel.ui.recordLabel.text, panel.ui.recordLabel.text
    (study,) = database.studiesForPatient("Doe^Jane")
    assert len(database.seriesForStudy(study)) == 2  # a series and a SEG
    (seg,) = [h for h in database._headers.values() if h.Modality == "SEG"]
    path = database.fileForInstance(seg.SOPInstanceUID)
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    assert volume.array.sum() == drawn.sum()
    inside = np.argwhere(volume.array > 0) @ volume.affine[:3, :3].T + volume.affine[:3, 3]  # LPS
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    fromDicom.outputVolume.GetIJKToRASMatrix(matrix)
    toRas = slicer.util.arrayFromVTKMatrix(matrix)
    expected = np.argwhere(drawn)[:, ::-1] @ toRas[:3, :3].T + toRas[:3, 3]
    assert np.allclose(inside.mean(axis=0) * (-1, -1, 1), expected.mean(axis=0), atol=1e-3)
    assert not list((tmp_path / "scan").glob("*.dcm"))  # nothing beside the scan


def test_into_a_folder_where_there_is_no_database(panel, fromDicom, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *arguments: str(tmp_path / "out"))
    panel.ui.saveDicomButton.click()
    _wait(panel)
    asked = json.loads((tmp_path / "out" / "asked.json").read_text())
    assert asked["source"].startswith(str(tmp_path / "scan")) and asked["classes"] == ["cortex"] and not asked["edited"]
    assert f"Saved {tmp_path / 'out'}" in panel.ui.recordLabel.text
    _correct(fromDicom)
    fromDicom.outputSegmentation.GetSegmentation().AddEmptySegment("mine", "Haemorrhage")
    panel.ui.saveDicomButton.click()
    _wait(panel)
    asked = json.loads((tmp_path / "out" / "asked.json").read_text())
    assert asked["edited"] and asked["classes"] == ["cortex", "Haemorrhage"]


def test_a_failure_is_one_sentence_and_leaves_nothing(panel, fromDicom, standIn, tmp_path, monkeypatch):  # noqa: F811
    standIn("fail")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *arguments: str(tmp_path / "out"))
    panel.ui.saveDicomButton.click()
    _wait(panel)
    assert "made of cheese" in panel.ui.recordLabel.text
    assert not list((tmp_path / "out").iterdir()) and panel.ui.saveDicomButton.enabled
    assert not list(Path(slicer.app.temporaryPath).glob("SegSRGAN-*"))


def test_the_source_of_a_volume_of_the_dicom_module_is_found_by_its_instances(panel, tmp_path, monkeypatch):  # noqa: F811
    database = dicom_database.install(monkeypatch, tmp_path / "database")
    database._add(_series(tmp_path / "scan"), copies=False)
    node = phantoms.node()
    assert DicomDatabase.sourceOf(node) is None
    one = next(iter(database._headers.values()))
    node.SetAttribute("DICOM.instanceUIDs", f"{one.SOPInstanceUID} 1.2.3")
    assert str(DicomDatabase.sourceOf(node)) == database.fileForInstance(one.SOPInstanceUID)


def test_patients_of_the_database_become_a_batch(panel, answers, tmp_path, monkeypatch):  # noqa: F811
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    panel.batchTab.update()
    assert not ui.dicomSeriesButton.enabled and "open the module DICOM" in ui.dicomSeriesButton.toolTip
    database = dicom_database.install(monkeypatch, tmp_path / "database")
    for name, number in (("Doe^Jane", "17"), ("Smith^John", "18")):
        database._add(_series(tmp_path / f"scan-{number}", name, number), copies=False)
    panel.batchTab.update()
    answers.picked = [1]
    ui.dicomSeriesButton.click()
    assert "folder for the results first" in ui.batchStatusLabel.text
    assert answers.offered == [
        "Doe^Jane (P-17), 20260105, T2 axial, 10 images",
        "Smith^John (P-18), 20260105, T2 axial, 10 images",
    ]
    parameters.batchOutput = str(tmp_path / "out")
    ui.dicomSeriesButton.click()
    assert [ui.casesTable.item(0, column).text() for column in (0, 1)] == ["P-18-20260105-T2-axial", "waiting"]
    assert ui.casesTable.rowCount == 1 and ui.startBatchButton.enabled
    rows = list(csv.DictReader((tmp_path / "out" / "dicom-series.csv").open()))
    assert rows[0]["input"] in database._headers
    scan = Cases.load(panel.batchTab._cases[0].source, _doneRecord(tmp_path, panel.batchTab._cases[0]))
    assert scan.GetName() == "P-18-20260105-T2-axial" and scan.GetImageData().GetDimensions()[2] == 10
    assert DicomDatabase.sourceOf(scan) is not None  # and its result can go back


def _doneRecord(folder, case):
    """A result of the case, as the engine leaves it."""
    import SimpleITK as sitk

    case.record.parent.mkdir(parents=True, exist_ok=True)
    case.record.write_text(json.dumps({**RECORD, "classes": []}))
    sitk.WriteImage(phantoms.image(), str(case.record.with_name(f"{case.name}_sr.nii.gz")))
    return case.record


def test_two_series_of_one_name_have_results_of_two_names(tmp_path):
    from SegSRGANModule.Jobs import BatchJob

    one = DicomDatabase.Series("Doe^Jane", "P/17", "20260105", "T2 axial", 10, tmp_path / "a")
    path = BatchJob.writeList([one, one._replace(file=tmp_path / "b")], str(tmp_path))
    names = [row["output"] for row in csv.DictReader(path.open())]
    assert names == ["P-17-20260105-T2-axial", "P-17-20260105-T2-axial-2"]


@pytest.mark.parametrize(("button", "expected"), [("Ok", [0, 2]), ("Cancel", [])])
def test_the_list_of_series_is_a_dialog(button, expected):
    """The real dialog: two of three are picked."""

    def answer() -> None:
        dialog = qt.QApplication.activeModalWidget()
        choices = dialog.findChildren(qt.QListWidget)[0]
        for row in (0, 2):
            choices.item(row).setSelected(True)
        buttons = dialog.findChildren(qt.QDialogButtonBox)[0]
        buttons.button(getattr(qt.QDialogButtonBox, button)).click()

    qt.QTimer.singleShot(50, answer)
    assert Questions().pick("Pick", ["a", "b", "c"]) == expected
