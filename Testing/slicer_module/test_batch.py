"""The Batch tab: the engine of the shell in a child process, a table of volumes, and one case at a double click."""

import json

import pytest
import SimpleITK as sitk
from harness.fixtures import cleanScene, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Scene import Ownership, SliceViews  # isort: skip


@pytest.fixture
def cohort(panel, standIn, tmp_path, monkeypatch):  # noqa: F811
    """Two patients in a folder, and the folders chosen."""
    monkeypatch.setenv(
        "SEGSRGAN_STAND_IN_RECORD",
        json.dumps(
            {
                "verdict": {"word": "usable", "reasons": []},
                "quality": {"cortex": {"volume_ml": 61.26}},
            }
        ),
    )
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("Doe_Jane", "Smith_John"), start=1):
        sitk.WriteImage(phantoms.image() * number, str(tmp_path / "in" / f"{name}.nii.gz"))
    parameters = panel.logic.getParameterNode()
    parameters.spacing = 0.8
    parameters.batchSource, parameters.batchOutput = str(tmp_path / "in"), str(tmp_path / "out")
    return parameters


def _rows(panel) -> list[list[str]]:  # noqa: F811
    table = panel.ui.casesTable
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]


def _run(panel) -> None:  # noqa: F811
    panel.ui.startBatchButton.click()
    waitFor(lambda: panel.batchTab.control.run is None)


def test_what_is_missing_is_said(panel, tmp_path):  # noqa: F811
    assert not panel.ui.startBatchButton.enabled
    assert "Choose the folder or list" in panel.ui.batchStatusLabel.text
    parameters = panel.logic.getParameterNode()
    parameters.batchSource = parameters.batchOutput = str(tmp_path)
    assert "would be taken for scans" in panel.ui.batchStatusLabel.text


def test_each_volume_has_state_verdict_and_volume(panel, cohort):  # noqa: F811
    assert _rows(panel) == [["Doe_Jane", "waiting", "\u2013", ""], ["Smith_John", "waiting", "\u2013", ""]]
    assert panel.ui.startBatchButton.enabled and not panel.ui.openCaseButton.enabled
    _run(panel)
    assert _rows(panel) == [["Doe_Jane", "done", "usable", "61.3"], ["Smith_John", "done", "usable", "61.3"]]
    assert "Done" in panel.ui.batchStatusLabel.text
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")  # nothing comes into the scene unasked


def test_stop_and_go_on(panel, cohort, standIn, tmp_path):  # noqa: F811
    standIn("slow")
    panel.ui.startBatchButton.click()
    assert panel.ui.stopBatchButton.enabled and not panel.ui.startBatchButton.enabled
    waitFor(lambda: panel.batchTab.control.run._pid is not None)
    panel.ui.stopBatchButton.click()
    waitFor(lambda: panel.batchTab.control.run is None)
    assert "Start goes on" in panel.ui.batchStatusLabel.text
    standIn("")
    _run(panel)
    assert [row[1] for row in _rows(panel)] == ["done", "done"]


def test_a_failure_is_in_the_table_and_in_words(panel, cohort, standIn, tmp_path):  # noqa: F811
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.tsv").write_text("name\tstatus\treason\nDoe_Jane\tfailed\tThe file is cut off.\n")
    panel.ui.refreshBatchButton.click()
    assert _rows(panel)[0][1] == "The file is cut off."
    panel.ui.casesTable.selectRow(0)  # the column may be too narrow for the sentence
    assert panel.ui.batchStatusLabel.text == "Doe_Jane: The file is cut off."
    standIn("fail")
    _run(panel)
    assert "made of cheese" in panel.ui.batchStatusLabel.text


def test_double_click_loads_one_case_with_its_overlay(panel, cohort):  # noqa: F811
    _run(panel)
    panel.ui.casesTable.cellDoubleClicked.emit(1, 0)
    assert cohort.inputVolume.GetName() == "Smith_John"
    result, segmentation = cohort.outputVolume, cohort.outputSegmentation
    assert Ownership.ownerOf(result) is cohort.inputVolume
    assert panel.ui.tabs.currentWidget() is panel.ui.qualityTab
    assert panel.ui.verdictLabel.text.startswith("Verdict: USABLE")
    shown = {(c.GetBackgroundVolumeID(), c.GetForegroundVolumeID()) for c in SliceViews.composites()}
    assert shown == {(cohort.inputVolume.GetID(), result.GetID())}
    assert slicer.util.arrayFromVolume(result).max() == 2 * phantoms.CORTEX_VALUE
    segmentation.SetName("corrected")
    panel.ui.casesTable.cellDoubleClicked.emit(0, 0)
    assert cohort.inputVolume.GetName() == "Doe_Jane"
    panel.ui.casesTable.cellDoubleClicked.emit(1, 0)  # back: nothing is loaded twice, and the correction is there
    assert cohort.outputSegmentation is segmentation and cohort.outputVolume is result
    scans = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if Ownership.isOfferable(node)]
    assert len(scans) == 2
    assert "in the scene already" not in panel.ui.batchStatusLabel.text


def test_a_result_in_the_scene_is_not_taken_for_that_of_a_later_batch(panel, cohort, tmp_path):  # noqa: F811
    """It may be corrected by hand, so it stays; but the row in the table is about another one."""
    _run(panel)
    panel.ui.casesTable.cellDoubleClicked.emit(1, 0)
    result = cohort.outputVolume
    record = panel.batchTab._cases[1].record
    record.write_text(json.dumps({**json.loads(record.read_text()), "model": {"name": "another"}}))
    panel.ui.casesTable.cellDoubleClicked.emit(1, 0)
    assert cohort.outputVolume is result
    assert "Smith_John was in the scene already, with the result of another run" in panel.ui.batchStatusLabel.text


def test_closing_the_module_ends_the_batch(panel, cohort, standIn):  # noqa: F811
    standIn("stubborn")
    panel.ui.startBatchButton.click()
    run = panel.batchTab.control.run
    waitFor(lambda: run._pid is not None)
    panel.batchTab.close()
    waitFor(lambda: not run.isRunning)
