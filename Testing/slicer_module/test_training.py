"""The Training tab: pairs of the scene or a table, start, live curves, stop, resume, and the new model in the list."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from harness.fixtures import cleanScene, models, panel, slicer, standIn, waitFor, writeModelFile  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Jobs import TrainingJob, TrainingPairs, TrainingPlan  # isort: skip
from SegSRGANModule.Scene import TrainingPlots, VolumeNodes  # isort: skip


def _labels(name: str, values=None):
    image = sitk.GetImageFromArray((phantoms.ellipsoids() / 50).astype(np.uint8) if values is None else values)
    image.CopyInformation(phantoms.image())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    VolumeNodes.setVolumeFromImage(node, image)
    return node


def _segmentation(volume, names):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "tissues")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in names:
        segment = node.GetSegmentation().AddEmptySegment("", name)
        mask = (phantoms.ellipsoids() == phantoms.CORTEX_VALUE).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    return node


@pytest.fixture
def ready(panel, tmp_path):  # noqa: F811
    """Two pairs picked with the buttons, a folder, three epochs."""
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    first, second = phantoms.node("one"), phantoms.node("two")
    for volume, labels in (
        (first, _labels("labels")),
        (second, _segmentation(second, ["White matter", "Left cortex"])),
    ):
        ui.trainingVolumeSelector.setCurrentNode(volume)
        ui.trainingLabelsSelector.setCurrentNode(labels)
        ui.addPairButton.click()
    parameters.trainingFolder, parameters.trainingName = str(tmp_path / "train"), "ours"
    parameters.epochs, parameters.label = 3, 4
    return parameters


def _trained(panel, button):  # noqa: F811
    button.click()
    waitFor(lambda: panel.trainingTab.control.run is None)


def test_pairs_are_listed_toggled_and_removed(panel, ready):  # noqa: F811
    table = panel.ui.pairsTable
    texts = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
    assert texts == [["one", "labels", "Train"], ["two", "tissues", "Test"]]
    table.selectRow(0)
    panel.ui.toggleBaseButton.click()
    assert table.item(0, 2).text() == "Test"
    assert not panel.ui.startTrainingButton.enabled  # nothing to train on
    assert "for Train" in panel.ui.trainingStatusLabel.text
    panel.ui.removePairButton.click()
    assert table.rowCount == 1 and table.item(0, 0).text() == "two"
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("two"))
    assert table.rowCount == 0


def test_the_same_volume_twice_is_refused(panel, ready):  # noqa: F811
    panel.ui.addPairButton.click()
    assert "in the list already" in panel.ui.trainingStatusLabel.text
    assert panel.ui.pairsTable.rowCount == 2
    panel.ui.pairsTable.selectRow(0)
    panel.ui.removePairButton.click()
    panel.ui.addPairButton.click()  # also where there is more to say
    assert "in the list already" in panel.ui.trainingStatusLabel.text
    assert "for Train" in panel.ui.trainingStatusLabel.text


def test_pairs_survive_saving_the_scene(panel, ready, tmp_path):  # noqa: F811
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.ui.pairsTable.rowCount == 0
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    pairs = TrainingPairs.read(panel.logic.getParameterNode().parameterNode)
    assert [(p.volume.GetName(), p.labels.GetName(), p.base) for p in pairs] == [
        ("one", "labels", "Train"),
        ("two", "tissues", "Test"),
    ]


def test_what_is_written_for_the_engine(panel, ready):  # noqa: F811
    ready.thicknessMinimum, ready.thicknessMaximum, ready.trainingDevice = 2.0, 4.0, "cpu"
    ready.baseModel = "stand-in"
    configuration = TrainingJob.prepare(ready, TrainingPairs.read(ready.parameterNode), "stand-in")
    values = json.loads(configuration.read_text())
    expected = {"epochs": 3, "device": "cpu", "slice_thickness": [2.0, 4.0], "label": 4, "init": "stand-in"}
    assert expected.items() <= values.items()
    assert values["resume"] is False and values["title"] == "ours"
    with open(values["csv"]) as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Base"] for row in rows] == ["Train", "Test"]
    cortex = phantoms.ellipsoids() == phantoms.CORTEX_VALUE
    for row in rows:
        image, labels = sitk.ReadImage(row["HR_image"]), sitk.ReadImage(row["Label_image"])
        assert np.array_equal(sitk.GetArrayFromImage(image), phantoms.ellipsoids())
        assert np.array_equal(sitk.GetArrayFromImage(labels) == 4, cortex)
        assert np.allclose(labels.GetOrigin(), image.GetOrigin()) and labels.GetSize() == image.GetSize()


def test_a_segmentation_without_a_cortex_is_refused(panel, ready):  # noqa: F811
    volume = slicer.util.getNode("two")
    for names, message in ((["White matter", "CSF"], "it has 0"), (["Left cortex", "Right cortex"], "it has 2")):
        with pytest.raises(ValueError, match=message):
            TrainingJob.cortexSegments(_segmentation(volume, names))
    assert len(TrainingJob.cortexSegments(_segmentation(volume, ["anything"]))) == 1


def test_training_shows_live_curves_and_ends_with_numbers(panel, ready, standIn):  # noqa: F811
    ui = panel.ui
    assert ui.startTrainingButton.enabled
    _trained(panel, ui.startTrainingButton)
    assert "Trained" in ui.trainingStatusLabel.text
    assert ui.beforeAfterLabel.text == "PSNR 26.00 -> 28.00 dB (epoch 3); interpolation 25.00 dB. Dice 0.100 -> 0.300"
    ui.showCurvesButton.click()
    chart = slicer.util.getNode("SegSRGAN PSNR")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlotChartID() == chart.GetID()
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    shown = {view.GetPlotChartNode().GetName() for view in views if view.GetPlotChartNode()}
    assert shown >= set(TrainingPlots.CHARTS)  # all of them at once
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [node.GetName() for node in series] == ["network", "interpolation"]
    table = series[0].GetTableNode().GetTable()
    column = table.GetColumnByName(series[0].GetYColumnName())
    assert [column.GetValue(row) for row in range(3)] == [26.0, 27.0, 28.0]
    assert {name: slicer.util.getNode(name).GetYAxisTitle() for name in TrainingPlots.CHARTS} == {
        "SegSRGAN loss": "loss",
        "SegSRGAN PSNR": "PSNR (dB)",
        "SegSRGAN Dice": "Dice",
    }


@pytest.mark.slow
def test_stop_and_resume(panel, ready, standIn):  # noqa: F811
    ui = panel.ui
    standIn("slow")
    assert not ui.resumeTrainingButton.enabled
    ui.startTrainingButton.click()
    assert ui.stopTrainingButton.enabled and not ui.startTrainingButton.enabled
    folder = TrainingJob.outputFolder(ready)
    waitFor(lambda: (folder / "log.csv").is_file())
    ui.stopTrainingButton.click()
    waitFor(lambda: panel.trainingTab.control.run is None)
    assert "Resume goes on" in ui.trainingStatusLabel.text
    assert ui.resumeTrainingButton.enabled
    standIn("")
    TrainingPairs.write(ready.parameterNode, [])  # what it learns from is in its folder
    _trained(panel, ui.resumeTrainingButton)
    assert json.loads((folder / "panel.json").read_text())["resume"] is True
    assert "Trained" in ui.trainingStatusLabel.text


def test_start_leaves_the_data_of_an_earlier_training_alone(panel, ready, standIn):  # noqa: F811
    _trained(panel, panel.ui.startTrainingButton)
    table = TrainingJob.outputFolder(ready) / "subjects.csv"
    before = table.read_text()
    TrainingPairs.write(ready.parameterNode, TrainingPairs.read(ready.parameterNode)[::-1])
    panel.ui.startTrainingButton.click()
    assert panel.trainingTab.control.run is None
    assert "press Resume" in panel.ui.trainingStatusLabel.text
    assert table.read_text() == before


def test_a_lost_model_to_start_from_is_said(panel, ready):  # noqa: F811
    ready.baseModel = "lost"
    assert not panel.ui.startTrainingButton.enabled
    assert "lost is not there any more" in panel.ui.trainingStatusLabel.text
    assert panel.ui.baseModelSelector.currentText == ""
    panel.ui.baseModelSelector.currentIndex = 0
    assert ready.baseModel == "" and panel.ui.startTrainingButton.enabled


def test_an_imported_model_can_be_fine_tuned(panel, standIn, tmp_path):  # noqa: F811
    writeModelFile(tmp_path / "theirs.safetensors", "Theirs")
    panel.enhanceTab.importModel(tmp_path / "theirs.safetensors")
    waitFor(lambda: panel.enhanceTab.control.run is None)
    selector = panel.ui.baseModelSelector
    assert "Theirs (theirs)" in [selector.itemText(index) for index in range(selector.count)]


def test_curves_come_into_the_scene_when_they_are_asked_for(panel, ready, standIn):  # noqa: F811
    _trained(panel, panel.ui.startTrainingButton)
    assert not slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_an_error_of_the_engine_is_shown(panel, ready, standIn):  # noqa: F811
    standIn("fail")
    _trained(panel, panel.ui.startTrainingButton)
    assert panel.ui.trainingStatusLabel.text == "The volume is made of cheese; choose one of a brain."


def test_the_new_model_appears_in_the_selector(panel, ready, standIn):  # noqa: F811
    ui = panel.ui
    _trained(panel, ui.startTrainingButton)
    assert not ui.useModelButton.enabled
    writeModelFile(TrainingJob.outputFolder(ready) / "model.safetensors", "Our hospital")
    _trained(panel, ui.resumeTrainingButton)
    ui.useModelButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert ready.model == "ours"
    assert ui.modelSelector.currentText == "Our hospital (ours)"
    titles = [ui.baseModelSelector.itemText(index) for index in range(ui.baseModelSelector.count)]
    assert titles == ["Stand-in model", "Our hospital (ours)", "Random weights"]
    writeModelFile(TrainingJob.outputFolder(ready) / "model.safetensors", "Longer")
    _trained(panel, ui.resumeTrainingButton)
    for _time in (1, 2):  # the first one stays, and the same one is not added twice
        ui.useModelButton.click()
        waitFor(lambda: panel.enhanceTab.control.run is None)
        assert ready.model == "ours-2"
        assert ui.modelSelector.currentText == "Longer (ours-2)"


def test_a_table_replaces_the_pairs(panel, tmp_path, standIn):  # noqa: F811
    parameters, ui = panel.logic.getParameterNode(), panel.ui
    assert not ui.startTrainingButton.enabled
    ui.csvPathEdit.currentPath = str(tmp_path / "missing.csv")
    assert "There is no table" in ui.trainingStatusLabel.text
    (tmp_path / "subjects.csv").write_text("HR_image,Label_image,Base\n")
    ui.csvPathEdit.currentPath = str(tmp_path / "subjects.csv")
    parameters.trainingFolder = str(tmp_path)
    assert not ui.startTrainingButton.enabled and "Choose the label" in ui.trainingStatusLabel.text
    parameters.label = 3
    assert ui.startTrainingButton.enabled
    _trained(panel, ui.startTrainingButton)
    assert json.loads((tmp_path / "my-model" / "panel.json").read_text())["csv"] == str(tmp_path / "subjects.csv")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trainingName", "../x", "Name the model"),
        ("trainingFolder", "", "Choose the folder"),
        ("thicknessMinimum", 6.0, "must not be thicker"),
    ],
)
def test_what_cannot_be_trained_is_said_before_it_starts(panel, ready, name, value, message):  # noqa: F811
    assert panel.ui.startTrainingButton.enabled
    setattr(ready, name, value)
    assert not panel.ui.startTrainingButton.enabled
    assert message in panel.ui.trainingStatusLabel.text


def test_folder_and_table_open_the_right_dialog(panel, monkeypatch):  # noqa: F811
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *arguments: "/data/models")
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *arguments: ("/data/subjects.csv", ""))
    parameters = panel.logic.getParameterNode()
    panel.ui.trainingFolderEdit.browse()
    panel.ui.csvPathEdit.browse()
    assert (parameters.trainingFolder, parameters.trainingCsv) == ("/data/models", "/data/subjects.csv")


def test_a_training_starts_from_the_bundled_model_and_no_wrong_tissue(panel, ready, standIn):  # noqa: F811
    assert ready.baseModel == "" and panel.ui.baseModelSelector.currentText == "Stand-in model"
    ready.label = 0
    assert not panel.ui.startTrainingButton.enabled
    assert "Choose the label of the cortex" in panel.ui.trainingStatusLabel.text
    assert panel.ui.labelSpinBox.text == "not chosen label" or "not chosen" in panel.ui.labelSpinBox.text
    pairs = TrainingPairs.read(ready.parameterNode)
    own = [pair._replace(labels=_segmentation(pair.volume, ["Left cortex"])) for pair in pairs]
    TrainingPairs.write(ready.parameterNode, own)  # a segmentation says itself which segment it is
    assert panel.ui.startTrainingButton.enabled
    values = json.loads(TrainingJob.prepare(ready, own, panel.trainingTab._base()).read_text())
    assert values["init"] == "stand-in" and values["label"] == 1
    ready.baseModel = "random"
    assert panel.ui.baseModelSelector.currentText == "Random weights"
    assert json.loads(TrainingJob.prepare(ready, own, panel.trainingTab._base()).read_text())["init"] is None


def test_time_and_patches_are_told_before_the_start(panel, ready):  # noqa: F811
    ready.patchesPerVolume, ready.epochs = 4, 2
    text = panel.ui.trainingPlanLabel.text
    assert "Training volumes: 1, 4 patches an epoch" in text and "for 2 epochs on this CPU" in text
    assert "first training" in text
    TrainingPlan.remember([{"epoch": 0, "seconds": 1.0}, {"epoch": 10, "seconds": 4000.0}], 4, "cpu")
    ready.epochs = 3
    assert "about 20 min for 3 epochs" in panel.ui.trainingPlanLabel.text
    assert "first training" not in panel.ui.trainingPlanLabel.text
    assert (
        json.loads(TrainingJob.prepare(ready, TrainingPairs.read(ready.parameterNode), "stand-in").read_text())[
            "patches_per_subject"
        ]
        == 4
    )


def test_the_picture_of_the_last_validation_is_shown(panel, ready, standIn):  # noqa: F811
    import qt

    folder = TrainingJob.outputFolder(ready)
    folder.mkdir(parents=True)
    picture = qt.QPixmap(900, 300)
    picture.fill(qt.QColor(200, 100, 0))
    assert picture.save(str(folder / "examples.png"))
    _trained(panel, panel.ui.startTrainingButton)
    assert not panel.ui.examplesLabel.pixmap.isNull()
    assert panel.ui.examplesLabel.pixmap.width() <= 900
