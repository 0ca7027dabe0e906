"""The Quality control tab as a reader's page: verdict, tissues, agreement, worst places, map, report."""

import json
import sys
import types

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, models, panel, slicer, sliceViews, standIn  # noqa: F401

import phantoms  # isort: skip
import qt  # isort: skip
from SegSRGANModule.Panel import RecordTexts  # isort: skip
from SegSRGANModule.Scene import DisagreementMap, Ownership, ResultNodes, SegmentEdits, SliceViews  # isort: skip

RECORD = {
    "verdict": {
        "word": "look closely",
        "reasons": ["The left hemisphere has 30 % less cortex than the right."],
        "predicted_dice": {"value": 0.81, "low": 0.74, "high": 0.87},
    },
    "quality": {
        "consistency": {"psnr": 31.2, "z_max": 11.0, "slice_z_max": 2.5, "region": "mask"},
        "cortex": {"volume_ml": 5.0, "expected_volume_ml": 5.4, "components": 3, "largest_component": 0.93},
    },
}


@pytest.fixture
def result(panel, standIn, monkeypatch):  # noqa: F811
    monkeypatch.setenv("SEGSRGAN_STAND_IN_RECORD", json.dumps(RECORD))
    scan = phantoms.node()
    slicer.util.setSliceViewerLayers(background=scan)
    panel.enter()
    panel.logic.getParameterNode().spacing = 0.8
    applied(panel)
    return panel.logic.getParameterNode()


def _red():
    return next(node for node in SliceViews.composites() if node.GetLayoutName() == "Red")


def _cells(table) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_without_a_result_it_says_so(panel):  # noqa: F811
    assert "No result yet" in panel.ui.qualityLabel.text
    assert not panel.ui.compareButton.enabled
    assert panel.ui.volumesTable.rowCount == 0 and panel.ui.placesTable.rowCount == 0


def test_the_verdict_comes_first_with_its_reasons(panel, result):  # noqa: F811
    text = panel.ui.verdictLabel.text
    assert text.startswith("Verdict: LOOK CLOSELY")
    assert "30 % less cortex" in text and "Predicted Dice of the cortex: 0.81 (0.74 to 0.87)" in text
    assert panel.ui.qualityLabel.text == "T2w enhanced, made from T2w"


def test_a_run_without_a_verdict_is_never_called_usable(panel, standIn):  # noqa: F811
    phantoms.node()
    panel.enter()
    applied(panel)
    assert "No verdict" in panel.ui.verdictLabel.text and "usable" not in panel.ui.verdictLabel.text.lower()
    assert (
        RecordTexts.verdict({"verdict": {"word": "usable", "reasons": [], "predicted_dice": None}}) == "Verdict: USABLE"
    )


def test_tissues_with_what_the_run_expected(panel, result, tmp_path):  # noqa: F811
    ((name, milliliters, expected),) = _cells(panel.ui.volumesTable)
    assert name == "Cerebral cortex" and float(milliliters) > 1 and expected == "5.4"
    panel.ui.copyTissuesButton.click()
    copied = qt.QApplication.clipboard().text()
    assert copied.splitlines()[1] == f"Cerebral cortex\t{milliliters}\t5.4"
    panel.qualityTab.tissues.export(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == "Tissue,mL,Expected (mL)"
    assert "t.csv" in panel.ui.recordLabel.text
    panel.qualityTab.tissues.export(tmp_path / "no" / "t.csv")
    assert "No such file" in panel.ui.recordLabel.text


def _statistics(monkeypatch) -> list:
    """Slicer's module, as far as it is called; returns what it was asked for."""
    import signatures

    asked = []

    class Logic:
        def getParameterNode(self):
            if not hasattr(self, "_node"):
                self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "SegmentStatistics")
            return self._node

    def compute() -> None:
        pass

    def export(table, nonEmptyKeysOnly) -> None:
        table.RemoveAllColumns()
        table.AddColumn().SetName("Segment")

    for name, function in (
        ("computeStatistics", compute),
        ("exportToTable", export),
        ("showTable", lambda table: asked.append(table)),
    ):
        stub = signatures.stub(f"SegmentStatistics.SegmentStatisticsLogic.{name}", function)
        setattr(Logic, name, staticmethod(stub))
    real = Logic.computeStatistics
    Logic.computeStatistics = lambda self: asked.append({n: self._node.GetParameter(n) for n in PARAMETERS}) or real()
    monkeypatch.setitem(sys.modules, "SegmentStatistics", types.SimpleNamespace(SegmentStatisticsLogic=Logic))
    return asked


PARAMETERS = ("Segmentation", "ScalarVolume", "visibleSegmentsOnly")


def test_statistics_are_those_of_slicer_s_module(panel, result, monkeypatch):  # noqa: F811
    panel.ui.statisticsButton.click()
    assert "no module Segment Statistics" in panel.ui.recordLabel.text
    asked = _statistics(monkeypatch)
    for _time in range(2):  # the second time fills the same table
        panel.ui.statisticsButton.click()
    ids = result.outputSegmentation.GetID(), result.outputVolume.GetID(), "False"
    assert asked[0] == dict(zip(PARAMETERS, ids, strict=True))
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert asked[1] is asked[3] is table and table.GetName() == "T2w cortex statistics"
    assert not slicer.util.getNodes("SegmentStatistics*")  # parameters do not stay behind


def test_the_expected_volume_counts_the_bias_that_the_model_was_seen_to_have():
    record = {"verdict": {"volume_bias_percent": [-20.0, 25.0]}, "quality": {"cortex": {"volume_ml": 50.0}}}
    assert RecordTexts.expected(record, "cortex") == "40.0 to 62.5"
    record["quality"]["uncertainty"] = {"volume_interval_ml": [48.0, 52.0]}
    assert RecordTexts.expected(record, "cortex") == "48.0 to 52.0"
    assert RecordTexts.expected(record, "white matter") == ""


def test_volumes_follow_an_edit(panel, result):  # noqa: F811
    before = float(_cells(panel.ui.volumesTable)[0][1])
    values = slicer.util.arrayFromSegmentBinaryLabelmap(result.outputSegmentation, "cortex", result.outputVolume).copy()
    values[:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(values, result.outputSegmentation, "cortex", result.outputVolume)
    panel.enter()
    assert float(_cells(panel.ui.volumesTable)[0][1]) > before + 1


def test_agreement_in_words(panel, result):  # noqa: F811
    text = panel.ui.agreementLabel.text
    assert "Agreement: PSNR 31.2 dB in the brain mask. Largest difference: 11.0 standard deviations in a place" in text
    assert "Cortex: 3 pieces, 93.0 % of it in the largest." in text
    assert "Stand-in" in panel.ui.recordLabel.text and "Only a stand-in." in panel.ui.recordLabel.text


@pytest.mark.parametrize(
    ("cortex", "line"),
    [
        ({"components": 1, "largest_component": 1.0, "surface_cm2": 726.4}, "Cortex: one piece; surface 726 cm\u00b2."),
        ({"components": 9, "largest_component": 0.99999}, "Cortex: 9 pieces, 99.9 % of it in the largest."),
    ],
)
def test_several_pieces_are_never_called_all_in_one(cortex, line):
    assert RecordTexts.agreement({"quality": {"cortex": cortex}}) == line


@pytest.mark.parametrize(
    ("device", "words"),
    [("cpu (1 threads)", "CPU, 1 thread"), ("cpu (4 threads)", "CPU, 4 threads"), ("cuda (NVIDIA H100)",) * 2],
)
def test_the_device_in_words(device, words):
    assert f"device: {words}" in RecordTexts.summary({"device": device, "model": {"title": "M"}})


def test_worst_places_are_listed_and_jump_moves_all_views(panel, result):  # noqa: F811
    rows = _cells(panel.ui.placesTable)
    assert [row[1:] for row in rows] == [["11.0 SD", "too bright"], ["7.0 SD", "too dark"]]
    scan = result.inputVolume
    import vtk

    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    planted = np.array(matrix.MultiplyPoint((36 - 7, 44 - 9, 10 - 2, 1.0))[:3])
    assert rows[1][0] == RecordTexts.position(tuple(planted))
    panel.ui.placesTable.selectRow(1)
    fields = [node.GetFieldOfView() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
    panel.ui.jumpButton.click()
    for node, field in zip(slicer.util.getNodesByClass("vtkMRMLSliceNode"), fields, strict=True):
        center = [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
        normal = [node.GetSliceToRAS().GetElement(axis, 2) for axis in range(3)]
        assert np.dot(planted - center, normal) == pytest.approx(0, abs=1e-3)  # the slice goes through it
        assert np.allclose(planted, center, atol=1e-3)
        assert node.GetFieldOfView() == field  # the zoom stays


def test_places_follow_the_transform_of_the_scan(panel, result):  # noqa: F811
    before = DisagreementMap.worstPlaces(DisagreementMap.mapOf(result.outputVolume))[0].ras
    transform = phantoms.transform()
    DisagreementMap.mapOf(result.outputVolume).SetAndObserveTransformNodeID(transform.GetID())
    after = DisagreementMap.worstPlaces(DisagreementMap.mapOf(result.outputVolume))[0].ras
    expected = transform.GetTransformToParent().TransformPoint(before)
    assert np.allclose(after, expected, atol=1e-4)


def test_the_map_is_clear_where_both_agree(panel, result, sliceViews):  # noqa: F811
    panel.ui.consistencyCheckBox.click()
    node = DisagreementMap.mapOf(result.outputVolume)
    assert _red().GetForegroundVolumeID() == node.GetID() and _red().GetForegroundOpacity() == 1.0
    assert _red().GetBackgroundVolumeID() == result.outputVolume.GetID()
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    assert legend.GetVisibility() and "standard deviations" in legend.GetTitleText()
    result.outputSegmentation.GetDisplayNode().SetVisibility(False)
    view = sliceViews["Red"].fit()
    SliceViews.jump(DisagreementMap.worstPlaces(node)[0].ras)
    view.logic.UpdatePipeline()
    picture = view.pixels().astype(int)
    tinted = np.abs(picture[..., 0] - picture[..., 2]) > 20
    assert 0 < tinted.mean() < 0.02  # one voxel, and no wash over the rest
    assert (picture[..., 0] - picture[..., 2])[tinted].min() > 0  # too bright is red


@pytest.mark.parametrize("end", ["the box", "another run"])
def test_the_comparison_is_back_when_the_map_goes(panel, result, end):  # noqa: F811
    _red().SetForegroundOpacity(0.25)
    panel.ui.consistencyCheckBox.click()
    panel.ui.consistencyCheckBox.click() if end == "the box" else applied(panel)
    assert not panel.ui.consistencyCheckBox.checked
    assert _red().GetBackgroundVolumeID() == result.inputVolume.GetID()
    assert _red().GetForegroundVolumeID() == result.outputVolume.GetID()
    assert _red().GetForegroundOpacity() == 0.25


def test_a_run_without_a_map_leaves_none_of_an_earlier_one(panel, result, standIn):  # noqa: F811
    assert panel.ui.consistencyCheckBox.enabled
    standIn("no map")
    applied(panel)
    assert DisagreementMap.mapOf(result.outputVolume) is None
    assert not panel.ui.consistencyCheckBox.enabled and panel.ui.placesTable.rowCount == 0


def test_an_empty_output_is_no_result(panel):  # noqa: F811
    phantoms.node()
    panel.enter()
    panel.ui.outputVolumeSelector.addNode()
    assert "No result yet" in panel.ui.qualityLabel.text
    assert not panel.ui.compareButton.enabled


def test_everything_is_there_after_save_and_reload(panel, result, tmp_path):  # noqa: F811
    ui, before = panel.ui, _cells(panel.ui.placesTable)
    ui.consistencyCheckBox.click()
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    assert ui.placesTable.rowCount == 0
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    assert _cells(ui.placesTable) == before
    assert ui.verdictLabel.text.startswith("Verdict: LOOK CLOSELY")
    assert ui.consistencyCheckBox.enabled
    ui.consistencyCheckBox.click()
    node = DisagreementMap.mapOf(panel.logic.getParameterNode().outputVolume)
    color = [0.0] * 4
    node.GetDisplayNode().GetColorNode().GetColor(90, color)
    assert color[3] == 0  # clear in the middle
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "Not a medical device" in (tmp_path / "r.html").read_text()


def test_the_report_is_the_page_of_the_run(panel, result, tmp_path):  # noqa: F811
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "<h1>T2w</h1>" in (tmp_path / "r.html").read_text()
    label = panel.ui.recordLabel.text
    assert "r.html" in label and "Only a stand-in." in label  # the warnings of the run stay in sight
    SegmentEdits.markUnedited(result.outputSegmentation, [])
    result.outputSegmentation.SetAttribute("SegSRGAN.Segments", json.dumps({"cortex": "other"}))
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "as computed, not as edited" in panel.ui.recordLabel.text


def test_a_result_of_an_earlier_version_has_no_page(panel, tmp_path):  # noqa: F811
    scan, old = phantoms.node(), phantoms.node("T2w enhanced")
    Ownership.setOwner(old, scan)
    old.SetAttribute(ResultNodes.RECORD_ATTRIBUTE, json.dumps({"model": {"title": "Old"}}))
    panel.enter()
    panel.logic.getParameterNode().outputVolume = old
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "Run Apply again" in panel.ui.recordLabel.text and not (tmp_path / "r.html").exists()
    assert "measured no agreement" in panel.ui.agreementLabel.text
