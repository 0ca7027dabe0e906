"""The Quality control tab: texts, measures, flicker, consistency map, report."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from harness.fixtures import applied, cleanScene, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule import ParameterNode  # isort: skip
from SegSRGANModule.Scene import ResultNodes, SliceViews  # isort: skip


@pytest.fixture
def result(panel, standIn):  # noqa: F811
    phantoms.node()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode").SetLayoutName("Red")
    panel.enter()
    panel.logic.getParameterNode().spacing = 0.8
    applied(panel)
    return panel.logic.getParameterNode()


def _makeMap(panel, value: float = 1.0) -> None:  # noqa: F811
    """What `--maps` leaves in the folder of the shown result."""
    image = sitk.GetImageFromArray(np.full((4, 5, 6), value, np.float32))
    folder = ResultNodes.folderOf(panel.logic.getParameterNode().outputVolume)
    sitk.WriteImage(image, str(folder / "T2w_consistency.nii.gz"))
    panel.qualityTab.update()


def test_without_a_result_it_says_so(panel):  # noqa: F811
    assert "No result yet" in panel.ui.qualityLabel.text
    assert not panel.ui.compareButton.enabled
    assert panel.ui.volumesTable.rowCount == 0


def test_result_volume_and_record_are_shown(panel, result):  # noqa: F811
    ui = panel.ui
    assert "T2w enhanced" in ui.qualityLabel.text
    assert ui.compareButton.enabled
    assert ui.volumesTable.item(0, 0).text() == "Cerebral cortex"
    assert float(ui.volumesTable.item(0, 1).text()) > 1
    assert "Stand-in" in ui.recordLabel.text and "Only a stand-in." in ui.recordLabel.text


def test_flicker_switches_and_stops_where_the_slider_is(panel, result):  # noqa: F811
    result.comparison, result.fade = ParameterNode.SIDE_BY_SIDE, 0.5
    panel.qualityTab._timer.setInterval(20)
    panel.ui.flickerButton.checked = True
    assert result.comparison == ParameterNode.FADE
    composite = SliceViews.composites()[0]
    seen = set()
    waitFor(lambda: seen.add(composite.GetForegroundOpacity()) or {0.0, 1.0} <= seen)
    panel.ui.flickerButton.checked = False
    assert composite.GetForegroundOpacity() == 0.5


def test_consistency_map_when_the_run_made_one(panel, result):  # noqa: F811
    ui = panel.ui
    assert not ui.consistencyCheckBox.enabled
    _makeMap(panel)
    assert ui.consistencyCheckBox.enabled
    ui.consistencyCheckBox.click()
    composite = SliceViews.composites()[0]
    shown = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown.GetName() == "T2w enhanced consistency"


@pytest.mark.parametrize("end", ["the box", "the slider", "flicker"])
def test_the_comparison_is_back_when_the_map_goes(panel, result, end):  # noqa: F811
    ui, composite = panel.ui, SliceViews.composites()[0]
    _makeMap(panel)
    ui.consistencyCheckBox.click()
    assert composite.GetBackgroundVolumeID() == result.outputVolume.GetID()
    if end == "the box":
        ui.consistencyCheckBox.click()
    elif end == "the slider":
        ui.fadeSlider.value = 0.25
    else:
        ui.flickerButton.click()
    assert not ui.consistencyCheckBox.checked
    assert composite.GetBackgroundVolumeID() == result.inputVolume.GetID()
    assert composite.GetForegroundVolumeID() == result.outputVolume.GetID()
    assert composite.GetForegroundOpacity() == (0.25 if end == "the slider" else 1.0)


def test_views_of_the_input_show_no_map(panel, result):  # noqa: F811
    composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetLayoutName("SegSRGANInputAxial")
    result.comparison = ParameterNode.SIDE_BY_SIDE
    _makeMap(panel)
    panel.ui.consistencyCheckBox.click()
    assert composite.GetBackgroundVolumeID() == result.inputVolume.GetID()
    assert composite.GetForegroundVolumeID() is None


def test_the_map_is_that_of_the_shown_run(panel, result, standIn):  # noqa: F811
    box = panel.ui.consistencyCheckBox
    for value in (1.0, 2.0):
        _makeMap(panel, value)
        box.click()
        node = slicer.mrmlScene.GetNodeByID(SliceViews.composites()[0].GetForegroundVolumeID())
        assert slicer.util.arrayFromVolume(node).max() == value
        applied(panel)  # this run makes none
        assert not box.checked and not box.enabled
    assert len(slicer.util.getNodes("*consistency*")) == 1


def test_an_empty_output_is_no_result(panel):  # noqa: F811
    phantoms.node()
    panel.enter()
    panel.ui.outputVolumeSelector.addNode()
    assert "No result yet" in panel.ui.qualityLabel.text
    assert not panel.ui.compareButton.enabled


def test_leaving_the_module_ends_the_flicker(panel, result):  # noqa: F811
    panel.ui.flickerButton.checked = True
    panel.exit()
    assert not panel.ui.flickerButton.checked and not panel.qualityTab._timer.isActive()


def test_report_is_one_page_with_everything(panel, result, tmp_path):  # noqa: F811
    panel.qualityTab.saveReport(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    for words in (
        "T2w enhanced",
        "Cerebral cortex",
        "mL",
        "data:image/png;base64,",
        "Not a medical device",
        "Stand-in",
    ):
        assert words in text
    assert 'src="http' not in text
    label = panel.ui.recordLabel.text
    assert "r.html" in label and "Only a stand-in." in label  # the warnings of the run stay in sight
    panel.qualityTab.saveReport(tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    panel.qualityTab.saveReport(tmp_path / "r.pdf")
    assert "not as .pdf" in panel.ui.recordLabel.text


def test_report_of_another_session_has_no_picture(panel, result, tmp_path):  # noqa: F811
    result.outputVolume.SetAttribute(ResultNodes.FOLDER_ATTRIBUTE, str(tmp_path / "gone"))
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "data:image" not in (tmp_path / "r.html").read_text()
    panel.qualityTab.saveReport(tmp_path / "r.png")
    assert "run Apply again" in panel.ui.recordLabel.text


def test_text_of_the_record_is_escaped(panel, result, tmp_path):  # noqa: F811
    result.outputVolume.SetAttribute(
        ResultNodes.RECORD_ATTRIBUTE, json.dumps({"input": {"file": "<script>x</script>"}})
    )
    panel.qualityTab.saveReport(tmp_path / "r.html")
    assert "<script>" not in (tmp_path / "r.html").read_text()


def test_loading_a_scene_does_not_rearrange_the_views(panel, result, tmp_path, monkeypatch):  # noqa: F811
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    calls = []
    monkeypatch.setattr(SliceViews, "arrange", lambda *arguments: calls.append(arguments))
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    assert "T2w enhanced" in panel.ui.qualityLabel.text
    assert not calls
    panel.logic.getParameterNode().comparison = ParameterNode.FADE
    assert len(calls) == 1
