"""The panel and its parameters: real MRML, real Qt, a stand-in child."""

import json
import struct

import pytest
from harness.fixtures import (  # noqa: F401
    applied,
    cleanScene,
    logic,
    models,
    panel,
    slicer,
    standIn,
    waitFor,
    writeModelFile,
)

import application  # isort: skip
import phantoms  # isort: skip
import qt  # isort: skip
from SegSRGANLib.models import registry  # isort: skip
from SegSRGANModule.Scene import SliceViews  # isort: skip

OTHER_VALUES = {
    "spacing": 0.75,
    "device": "cpu",
    "patch": 96,
    "overlap": 0.25,
    "threshold": 0.4,
    "biasCorrection": True,
    "isBrain": True,
    "mixedPrecision": False,
    "label": 5,
    "thicknessMinimum": 2.5,
    "thicknessMaximum": 4.5,
    "epochs": 33,
    "patchesPerVolume": 12,
    "trainingDevice": "cuda",
    "trainingName": "ours",
    "trainingCsv": "/data/subjects.csv",
    "batchSource": "/data/scans",
    "batchList": "/data/scans.csv",
    "batchOutput": "/data/results",
    "batchIsBrain": True,
    "trainingFolder": "/data/models",
}
NODES = {
    "inputVolume": "vtkMRMLScalarVolumeNode",
    "secondStack": "vtkMRMLScalarVolumeNode",
    "thirdStack": "vtkMRMLScalarVolumeNode",
    "brainMask": "vtkMRMLSegmentationNode",
    "outputVolume": "vtkMRMLScalarVolumeNode",
    "outputSegmentation": "vtkMRMLSegmentationNode",
    "outputProbability": "vtkMRMLScalarVolumeNode",
}
WIDGETS = {
    "brainMask": "maskSelector",
    "model": "modelSelector",
    "baseModel": "baseModelSelector",
    "trainingCsv": "csvPathEdit",
    "batchSource": "batchSourceEdit",
    "batchList": "batchListEdit",
    "batchOutput": "batchOutputEdit",
    "trainingFolder": "trainingFolderEdit",
}


def _widgetOf(panel, name):  # noqa: F811
    if name in WIDGETS:
        return getattr(panel.ui, WIDGETS[name])
    found = [w for w in vars(panel.ui).values() if w.property("SlicerParameterName") == name]
    assert len(found) == 1, f"{name} is linked to {len(found)} widgets"
    return found[0]


def _set(widget, value):
    if isinstance(widget, slicer.qMRMLNodeComboBox):
        widget.setCurrentNode(value)
    elif isinstance(widget, qt.QComboBox):
        widget.currentIndex = [widget.itemText(index) for index in range(widget.count)].index(value)
    elif isinstance(widget, (qt.QCheckBox, qt.QPushButton)):
        widget.checked = value
    else:
        setattr(widget, "text" if isinstance(widget, qt.QLineEdit) else _valueName(widget), value)


def _get(widget):
    if isinstance(widget, slicer.qMRMLNodeComboBox):
        return widget.currentNode()
    if isinstance(widget, qt.QComboBox):
        return widget.currentText
    if isinstance(widget, (qt.QCheckBox, qt.QPushButton)):
        return widget.checked
    return getattr(widget, "text" if isinstance(widget, qt.QLineEdit) else _valueName(widget))


def _valueName(widget) -> str:
    return "currentPath" if widget.className() == "ctkPathLineEdit" else "value"


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_parameters_and_widgets_follow_each_other(panel, name):  # noqa: F811
    value, parameters, widget = OTHER_VALUES[name], panel.logic.getParameterNode(), _widgetOf(panel, name)
    before = getattr(parameters, name)
    assert before != value
    setattr(parameters, name, value)
    assert _get(widget) == value
    _set(widget, before)
    assert getattr(parameters, name) == before


@pytest.mark.parametrize("name", NODES)
def test_node_parameters_and_selectors_follow_each_other(panel, name):  # noqa: F811
    first, second = (slicer.mrmlScene.AddNewNodeByClass(NODES[name], text) for text in ("first", "second"))
    parameters, widget = panel.logic.getParameterNode(), _widgetOf(panel, name)
    setattr(parameters, name, first)
    assert widget.currentNode() is first
    _set(widget, second)
    assert getattr(parameters, name) is second
    slicer.mrmlScene.RemoveNode(second)
    assert getattr(parameters, name) is not second


def test_every_parameter_has_been_tried(panel):  # noqa: F811
    parameters = panel.logic.getParameterNode()
    assert set(parameters.allParameters) == {*OTHER_VALUES, *NODES, "model", "baseModel"}
    for name in parameters.allParameters:
        _widgetOf(panel, name)


@pytest.mark.parametrize("width", [420, 700])
def test_nothing_lies_over_anything_else(panel, width):  # noqa: F811
    """At usual widths, with long texts and full tables."""
    from SegSRGANModule.Panel.TissueTable import fillTable

    ui = panel.ui
    rows = [("Deep grey matter", "116.7", "52.4 to 96.5")] * 7
    for table in (ui.volumesTable, ui.placesTable):
        fillTable(table, rows[: 7 if table is ui.volumesTable else 5])
    for label in (ui.verdictLabel, ui.recordLabel, ui.agreementLabel, ui.modelInfoLabel, ui.warningLabel):
        label.visible, label.text = True, "A sentence that is long enough for several lines. " * 4
    for index in range(ui.tabs.count):
        application.showPage(panel, index, width)
        assert not _overlaps(ui.tabs.currentWidget()), ui.tabs.tabText(index)
    panel.parent.resize(width, 300)
    slicer.app.processEvents()
    ui.tabs.currentWidget().resize(width - 50, 400)
    assert _overlaps(ui.tabs.currentWidget())  # the check sees what is squeezed
    panel.parent.hide()


def _overlaps(page) -> list[tuple[str, str]]:
    """Names of sibling widgets that share pixels, and of widgets that are cut off by the one that holds them."""
    found = []
    for holder in (page, *page.findChildren(qt.QWidget)):
        if holder.metaObject().className() not in ("QWidget", "ctkCollapsibleButton"):
            continue
        shown = [w for w in holder.children() if isinstance(w, qt.QWidget) and w.isVisible() and w.objectName]
        areas = [w.geometry for w in shown]
        for index, (widget, area) in enumerate(zip(shown, areas, strict=True)):
            if not holder.rect.contains(area):
                found.append((holder.objectName, widget.objectName))
            found += [
                (widget.objectName, other.objectName)
                for other, place in zip(shown[index + 1 :], areas[index + 1 :], strict=True)
                if area.intersects(place)
            ]
    return found


def test_apply_is_enabled_when_there_is_something_to_do(panel):  # noqa: F811
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    assert not ui.applyButton.enabled
    assert "Select a volume" in ui.applyButton.toolTip
    source = phantoms.node()
    panel.enter()
    assert parameters.inputVolume is source
    assert ui.applyButton.enabled
    parameters.outputVolume = source
    assert not ui.applyButton.enabled
    assert "another node" in ui.warningLabel.text
    parameters.outputVolume = None
    assert ui.applyButton.enabled
    slicer.mrmlScene.RemoveNode(source)
    assert not ui.applyButton.enabled


def test_a_saved_scene_brings_the_panel_back(panel, standIn, tmp_path):  # noqa: F811
    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing, parameters.threshold, parameters.biasCorrection = 0.8, 0.6, True
    applied(panel)
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.ui.spacingSlider.value == 0.5
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    ui = panel.ui
    assert (ui.spacingSlider.value, ui.thresholdSlider.value, ui.biasCorrectionCheckBox.checked) == (0.8, 0.6, True)
    assert ui.inputSelector.currentNode().GetName() == "T2w"
    assert ui.outputVolumeSelector.currentNode().GetName() == "T2w enhanced"
    assert ui.outputSegmentationSelector.currentNode().GetName() == "T2w cortex"
    applied(panel)
    assert "Done" in ui.statusLabel.text


def _import(panel, path):  # noqa: F811
    panel.enhanceTab.importModel(path)
    waitFor(lambda: panel.enhanceTab.control.run is None)


def test_import_of_a_model(panel, standIn, tmp_path):  # noqa: F811
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    assert ui.modelSelector.currentText == "Stand-in model"
    assert "CC0-1.0" in ui.modelInfoLabel.text
    writeModelFile(tmp_path / "Our hospital.safetensors", "Trained here")
    _import(panel, tmp_path / "Our hospital.safetensors")
    assert parameters.model == "Our-hospital"
    assert ui.modelSelector.currentText == "Trained here (Our-hospital)"
    ui.modelSelector.currentIndex = 0
    assert parameters.model == ""
    (tmp_path / "no.safetensors").write_bytes(b"GIF89a")
    _import(panel, tmp_path / "no.safetensors")
    assert "not a model file of this software" in ui.statusLabel.text


def test_a_model_that_is_gone_or_not_downloaded_keeps_apply_off(panel, models):  # noqa: F811
    phantoms.node()
    panel.enter()
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    panel.parent.show()
    parameters.model = "lost"
    assert not ui.applyButton.enabled and "not there any more" in ui.warningLabel.text
    panel.enhanceTab.refreshModels()
    assert parameters.model == "lost"  # no other model in silence
    ui.modelSelector.currentIndex = 0  # the only one can be picked
    assert parameters.model == "" and ui.applyButton.enabled
    listed = json.loads((models / "models.json").read_text())
    listed["models"].append({"name": "far", "title": "Far away", "url": "http://127.0.0.1:9/x", "size": 5_000_000})
    (models / "models.json").write_text(json.dumps(listed))
    panel.enhanceTab.refreshModels(select="far")
    assert not ui.applyButton.enabled and "press Download" in ui.warningLabel.text
    assert ui.downloadModelButton.visible and "5.0 MB" in ui.modelInfoLabel.text
    panel.enhanceTab.refreshModels(select="")
    assert ui.applyButton.enabled and not ui.downloadModelButton.visible
    panel.parent.hide()


def test_research_use_only_is_said(panel):  # noqa: F811
    assert "Not a medical device" in panel.ui.disclaimerLabel.text
    assert "Not a medical device" in slicer.modules.segsrgan.helpText


@pytest.mark.parametrize("width", [420, 700])
@pytest.mark.parametrize("tab", [0, 1, 2, 3])
def test_nothing_is_cut_off(panel, width, tab):  # noqa: F811
    """Texts fit into their buttons and labels, and no widget reaches over the panel's edge."""
    phantoms.node()
    panel.enter()
    panel.ui.tabs.currentIndex = tab
    panel.ui.advancedButton.collapsed = False
    panel.parent.resize(width, 1100)
    panel.parent.show()
    slicer.app.processEvents()
    try:
        assert panel.parent.width == width, "the panel cannot be made this narrow"
        page = panel.ui.tabs.currentWidget()
        for widget in page.findChildren(qt.QWidget):
            if not widget.isVisible() or widget.className() in ("QScrollBar", "QHeaderView"):
                continue
            right = widget.mapTo(page, qt.QPoint(widget.width, 0)).x()
            assert right <= page.width, f"{widget.name or widget.className()} reaches over the edge"
            if isinstance(widget, (qt.QPushButton, qt.QCheckBox)):
                assert widget.width >= widget.minimumSizeHint().width(), f"'{widget.text}' is cut off"
            if isinstance(widget, qt.QLabel) and not widget.wordWrap:
                assert widget.width >= widget.sizeHint().width(), f"'{widget.text}' is cut off"
    finally:
        panel.parent.hide()
        panel.ui.advancedButton.collapsed = True


def test_layouts_are_well_formed():
    import xml.etree.ElementTree as ElementTree

    for text, views in ((SliceViews.sideBySideLayout(), 4), (SliceViews.rowLayout(), 3)):
        root = ElementTree.fromstring(text)
        assert len(list(root.iter("view"))) == views
        node = slicer.vtkMRMLLayoutNode()
        assert node.AddLayoutDescription(4711, text)


def test_a_damaged_model_file_does_not_keep_the_panel_from_opening(panel, models):  # noqa: F811
    listed = json.loads((models / "models.json").read_text())
    listed["models"].append({"name": "far", "title": "Far away", "url": "http://127.0.0.1:9/x", "size": 5_000_000})
    (models / "models.json").write_text(json.dumps(listed))
    folder = registry.user_models_folder()
    folder.mkdir(parents=True)
    (folder / "far.safetensors").write_bytes(b"half of it")
    panel.enhanceTab.refreshModels(select="far")
    assert "is damaged" in panel.ui.modelInfoLabel.text
    assert "cannot be used" in panel.ui.applyButton.toolTip or not panel.ui.applyButton.enabled


def test_one_bad_file_of_the_users_is_listed_as_unusable_and_the_others_work(panel):  # noqa: F811
    """Truncated, foreign, and with a number that no machine holds."""
    phantoms.node()
    panel.enter()
    folder = registry.user_models_folder()
    folder.mkdir(parents=True)
    writeModelFile(folder / "good.safetensors", "Good")
    whole = (folder / "good.safetensors").read_bytes()
    (folder / "truncated.safetensors").write_bytes(whole[:-20])
    (folder / "foreign.safetensors").write_bytes(b"\x89PNG")
    huge = whole.replace(b"[0.4, 1.2]", b"[0.4, 1" + b"0" * 400 + b"]")
    header = huge[8:]
    (folder / "huge.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    panel.enhanceTab.refreshModels()
    titles = [panel.ui.modelSelector.itemText(index) for index in range(panel.ui.modelSelector.count)]
    assert titles[0] == "Stand-in model" and "Good (good)" in titles
    for name in ("truncated", "foreign", "huge"):
        assert f"Cannot be used ({name})" in titles
        panel.logic.getParameterNode().model = name
        assert not panel.ui.applyButton.enabled and name in panel.ui.warningLabel.text
    panel.logic.getParameterNode().model = "good"
    assert panel.ui.applyButton.enabled


def test_a_model_is_told_in_two_sentences_with_its_whole_licence(panel, monkeypatch):  # noqa: F811
    monkeypatch.undo()
    from SegSRGANModule.Models import Models

    for choice in Models().choices():
        text = choice.text()
        assert choice.licence.rstrip(".") in text
        assert len(choice.summary) < 160 and 1 <= choice.summary.count(". ") + 1 <= 2
        assert text.count("\n") <= 2


def test_without_any_model_apply_says_so(panel, models):  # noqa: F811
    (models / "models.json").write_text(json.dumps({"models": []}))
    phantoms.node()
    panel.enter()
    panel.enhanceTab.refreshModels()
    assert not panel.ui.applyButton.enabled
    assert "press Import" in panel.ui.warningLabel.text


def test_the_offered_input_is_the_shown_volume_and_no_label_map(panel):  # noqa: F811
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    first, second = phantoms.node("high_resolution"), phantoms.node("T2w")
    parameters = panel.logic.getParameterNode()
    panel.enter()
    assert parameters.inputVolume is first
    parameters.inputVolume = None
    slicer.util.setSliceViewerLayers(background=second)
    panel.enter()
    assert parameters.inputVolume is second


def test_every_control_says_what_it_does(panel):  # noqa: F811
    classes = "QPushButton QCheckBox QComboBox QSpinBox QDoubleSpinBox QLineEdit"
    classes += " ctkSliderWidget ctkPathLineEdit qMRMLNodeComboBox"
    controls = [w for w in vars(panel.ui).values() if w.className() in classes.split() and w.name[:3] != "qt_"]
    assert len(controls) > 35
    assert not [widget.name for widget in controls if not widget.toolTip]
