"""The brain mask in the panel: found by a run, shown, edited, used by the next run; and results as training pairs."""

import json

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, models, panel, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Jobs import TrainingPairs  # isort: skip
from SegSRGANModule.Scene import BrainMask, Ownership  # isort: skip


@pytest.fixture
def found(panel, standIn):  # noqa: F811
    standIn("finds brain")
    scan = phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing = 0.8
    applied(panel)
    return scan, parameters


def test_finding_the_brain_is_offered_only_where_it_can_be_found(panel, models):  # noqa: F811
    ui, parameters = panel.ui, panel.logic.getParameterNode()
    phantoms.node()
    panel.enter()
    assert ui.maskSelector.noneDisplay == "None: the whole volume"
    assert "No brain extractor is installed" in ui.warningLabel.text
    parameters.isBrain = True
    assert "brain extractor" not in ui.warningLabel.text
    parameters.isBrain = False
    listed = json.loads((models / "models.json").read_text())
    entry = {"name": "brain-extractor", "title": "Brain", "file": "brain.safetensors", "sha256": "0" * 64}
    (models / "models.json").write_text(json.dumps({**listed, "brain_extractors": [entry]}))
    panel.enhanceTab.refreshModels()
    assert ui.maskSelector.noneDisplay == "Find the brain"
    assert "brain extractor" not in ui.warningLabel.text and ui.applyButton.enabled


def _drawn(mask, scan) -> np.ndarray:
    return slicer.util.arrayFromSegmentBinaryLabelmap(mask, BrainMask.SEGMENT_ID, scan)


def test_a_mask_that_a_run_found_is_shown_and_belongs_to_its_scan(panel, found):  # noqa: F811
    scan, parameters = found
    mask = parameters.brainMask
    assert mask.GetName() == "T2w brain mask" and Ownership.ownerOf(mask) is scan
    assert np.array_equal(_drawn(mask, scan) > 0, phantoms.ellipsoids() > 0)
    assert mask.GetDisplayNode().GetVisibility() and mask.GetDisplayNode().GetOpacity2DFill() == 0
    assert "12738006" in mask.GetSegmentation().GetSegment(BrainMask.SEGMENT_ID).GetTerminology()
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(mask)) == hierarchy.GetItemParent(
        hierarchy.GetItemByDataNode(scan)
    )


def test_an_edited_mask_is_used_by_the_next_run_and_kept(panel, found):  # noqa: F811
    scan, parameters = found
    mask = parameters.brainMask
    half = _drawn(mask, scan).copy()
    half[:, :, :20] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, mask, BrainMask.SEGMENT_ID, scan)
    applied(panel)
    assert parameters.brainMask is mask and np.array_equal(_drawn(mask, scan), half)
    cortex = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.outputSegmentation, "cortex", scan)
    assert cortex[:, :, 21:].any() and not cortex[:, :, :19].any()


def test_edit_mask_opens_the_segment_editor(panel, standIn):  # noqa: F811
    scan = phantoms.node()
    panel.enter()
    panel.ui.editMaskButton.click()  # there is none yet
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    mask = panel.logic.getParameterNode().brainMask
    assert editor.GetSegmentationNode() is mask and editor.GetSourceVolumeNode() is scan
    assert editor.GetSelectedSegmentID() == BrainMask.SEGMENT_ID
    assert "is empty" in panel.ui.warningLabel.text  # nothing was drawn
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    panel.logic.getParameterNode().brainMask = labels
    panel.ui.editMaskButton.click()
    assert "convert it in Segmentations" in panel.ui.statusLabel.text


def test_edit_cortex_and_use_as_training_pair(panel, found):  # noqa: F811
    _scan, parameters = found
    panel.ui.editCortexButton.click()
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert editor.GetSegmentationNode() is parameters.outputSegmentation
    assert editor.GetSourceVolumeNode() is parameters.outputVolume
    panel.ui.usePairButton.click()
    assert "repeats its mistakes" in panel.ui.recordLabel.text
    (pair,) = TrainingPairs.read(parameters.parameterNode)
    assert pair.volume is parameters.outputVolume and pair.labels is parameters.outputSegmentation
    assert panel.ui.pairsTable.item(0, 0).text() == "T2w enhanced"
    panel.ui.usePairButton.click()
    assert "in the list already" in panel.ui.recordLabel.text


def test_a_found_mask_survives_save_and_reload(panel, found, tmp_path):  # noqa: F811
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    mask = panel.logic.getParameterNode().brainMask
    assert mask.GetName() == "T2w brain mask"
    assert np.array_equal(_drawn(mask, slicer.util.getNode("T2w")) > 0, phantoms.ellipsoids() > 0)
