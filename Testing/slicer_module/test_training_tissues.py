"""A model of several tissues learns from segmentations of all of them; with less, another model is trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from harness.fixtures import cleanScene, makePanel, models, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANLib.models.registry import list_models  # isort: skip
from SegSRGANModule.Jobs import TrainingClasses, TrainingJob, TrainingPairs  # isort: skip
from SegSRGANModule.Models import ModelChoice, Models  # isort: skip

TISSUES = ("cortex", "white matter", "outer CSF")
SEVERAL = ModelChoice("several", "Several tissues", classes=TISSUES)
CORTEX = ModelChoice("cortex-only", "Cortex alone", classes=("cortex",))


class _TwoModels(Models):
    """The default one segments three tissues."""

    def choices(self) -> list[ModelChoice]:
        return [SEVERAL, CORTEX]

    def defaultKey(self) -> str:
        return SEVERAL.key


def _segmentation(volume, names):
    """Segments side by side, one a name."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"tissues of {volume.GetName()}")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for number, name in enumerate(names):
        inside = np.zeros(phantoms.SHAPE, np.uint8)
        inside[:, 8 * number : 8 * number + 8] = 1
        segment = node.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(inside, node, segment, volume)
    return node


@pytest.fixture
def tab(makePanel, standIn, tmp_path):  # noqa: F811
    """A panel with both models, ready but for the pairs; `add(names, ...)` adds a pair."""
    panel = makePanel(models=_TwoModels())
    parameters = panel.logic.getParameterNode()
    parameters.trainingFolder, parameters.trainingName, parameters.epochs = str(tmp_path), "ours", 2

    def add(*names):
        volume = phantoms.node(f"scan {len(TrainingPairs.read(parameters.parameterNode))}")
        TrainingPairs.add(parameters.parameterNode, volume, _segmentation(volume, names))

    panel.add = add
    return panel


def _started(panel) -> dict:
    panel.ui.startTrainingButton.click()
    waitFor(lambda: panel.trainingTab.control.run is None)
    assert "Trained" in panel.ui.trainingStatusLabel.text
    return json.loads((TrainingJob.outputFolder(panel.logic.getParameterNode()) / "panel.json").read_text())


def test_all_tissues_train_the_default_model(tab):
    """Segments count by the id of a run, or by their names, in any order."""
    tab.add("Outer CSF", "Cerebral cortex", "White matter")
    tab.add("cortex", "white matter", "outer CSF")
    assert tab.ui.baseModelSelector.currentText == SEVERAL.title
    values = _started(tab)
    assert values["init"] == "several" and "label" not in values
    assert values["classes"] == {"cortex": [1], "white matter": [2], "outer CSF": [3]}
    rows = Path(values["csv"]).read_text().splitlines()[1:]
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(row.split(",")[1])) for row in rows)
    assert [int(first[0, y, 0]) for y in (0, 8, 16, 30)] == [3, 1, 2, 0]
    assert [int(second[0, y, 0]) for y in (0, 8, 16, 30)] == [1, 2, 3, 0]


def test_the_cortex_alone_trains_a_model_of_the_cortex(tab):
    tab.add("Cerebral cortex", "White matter", "Outer CSF")
    tab.add("Cortex")
    assert tab.logic.getParameterNode().baseModel == ""
    assert tab.ui.baseModelSelector.currentText == CORTEX.title
    values = _started(tab)
    assert values["init"] == "cortex-only" and values["label"] == 1 and "classes" not in values


def test_what_a_chosen_model_lacks_is_said_before_the_start(tab):
    tab.add("Cortex", "White matter")
    tab.add("Cortex")
    tab.logic.getParameterNode().baseModel = "several"
    assert not tab.ui.startTrainingButton.enabled
    text = tab.ui.trainingStatusLabel.text
    assert "Several tissues segments 3 tissues" in text and "tissues of scan 0 lacks outer CSF" in text


@pytest.mark.parametrize("kind", ["label map", "table"])
def test_a_single_label_trains_no_model_of_several_tissues(tab, tmp_path, kind):
    parameters = tab.logic.getParameterNode()
    tab.add("Cortex", "White matter", "Outer CSF")
    tab.add("Cortex", "White matter", "Outer CSF")
    parameters.label = 1
    if kind == "table":
        (tmp_path / "subjects.csv").write_text("HR_image,Label_image,Base\na,b,Train\nc,d,Test\n")
        parameters.trainingCsv = str(tmp_path / "subjects.csv")
    else:
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        TrainingPairs.add(parameters.parameterNode, phantoms.node("third"), labels)
    assert tab.ui.baseModelSelector.currentText == CORTEX.title and tab.ui.startTrainingButton.enabled
    parameters.baseModel = "several"
    reason = "A table gives one label." if kind == "table" else "labels is a label map."
    assert reason in tab.ui.trainingStatusLabel.text and not tab.ui.startTrainingButton.enabled


def test_resume_keeps_the_tissues_it_began_with(tab):
    """The pairs in the list may be others by now."""
    for _pair in range(2):
        tab.add("Cortex", "White matter", "Outer CSF")
    begun = _started(tab)
    TrainingPairs.write(tab.logic.getParameterNode().parameterNode, [])
    tab.ui.resumeTrainingButton.click()
    waitFor(lambda: tab.trainingTab.control.run is None)
    values = json.loads((TrainingJob.outputFolder(tab.logic.getParameterNode()) / "panel.json").read_text())
    assert values["resume"] and values["classes"] == begun["classes"] and values["init"] == "several"


def test_the_list_of_models_knows_the_tissues():
    """Of the bundled models; the default one segments several."""
    choices = {choice.key: choice for choice in Models().choices()}
    assert all(choices[entry.name].classes == entry.classes for entry in list_models())
    assert TrainingClasses.areSeveral(choices["segsrgan"]) and not TrainingClasses.areSeveral(choices["segsrgan-paper"])
    assert choices["segsrgan"].classes[0] == "cortex"
