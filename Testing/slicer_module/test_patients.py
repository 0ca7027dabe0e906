"""Results and masks stay with the patient whose scan they were made from, and hand work is never lost unasked."""

import numpy as np
import pytest
from harness.fixtures import answers, applied, cleanScene, logic, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Scene import Ownership, SegmentEdits, Terminology  # isort: skip
from SegSRGANModule.Scene.ResultNodes import Nodes  # isort: skip
from SegSRGANModule.Settings import EnhanceSettings  # isort: skip

BRIGHTER = 3.0  # Doe's scan against Smith's: their results differ everywhere


@pytest.fixture
def patients(panel, standIn):  # noqa: F811
    """Smith enhanced, and Doe waiting; each in a study of their own."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    scans = []
    for number, name in enumerate(("Smith_John", "Doe_Jane")):
        scan = phantoms.node(f"{name}_T2w")
        slicer.util.arrayFromVolume(scan)[:] *= BRIGHTER**number
        study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name), "MRI")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), study)
        scans.append(scan)
    smith, doe = scans
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = smith, 1.2
    applied(panel)
    return smith, doe, parameters


def _outputs(parameters) -> Nodes:
    return Nodes(parameters.outputVolume, parameters.outputSegmentation, parameters.outputProbability)


def _drawInto(segmentation, volume) -> None:
    """A correction by hand: one more block of cortex."""
    values = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, Terminology.SEGMENT_ID, volume).copy()
    values[2:5, 2:5, 2:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(values, segmentation, Terminology.SEGMENT_ID, volume)


def _parentName(node) -> str:
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    return hierarchy.GetItemName(hierarchy.GetItemParent(study))


def test_another_patient_gets_nodes_of_their_own(panel, patients):  # noqa: F811
    smith, doe, parameters = patients
    first = _outputs(parameters)
    before = slicer.util.arrayFromVolume(first.volume).copy()
    parameters.inputVolume = doe
    assert _outputs(parameters) == Nodes()  # fresh ones
    applied(panel)
    second = _outputs(parameters)
    assert first.volume is not second.volume and first.segmentation is not second.segmentation
    assert np.array_equal(slicer.util.arrayFromVolume(first.volume), before)
    assert slicer.util.arrayFromVolume(second.volume).max() == pytest.approx(BRIGHTER * before.max())
    for scan, nodes, name in ((smith, first, "Smith_John"), (doe, second, "Doe_Jane")):
        for node in (nodes.volume, nodes.segmentation):
            assert node.GetName().startswith(name) and _parentName(node) == name
            assert Ownership.ownerOf(node) is scan
    parameters.inputVolume = smith
    assert _outputs(parameters) == first  # and back again


def test_the_mask_stays_with_its_patient(panel, patients):  # noqa: F811
    smith, doe, parameters = patients
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Smith's brain")
    parameters.brainMask = mask
    parameters.inputVolume = doe
    assert parameters.brainMask is None and panel.ui.maskSelector.currentNode() is None
    parameters.inputVolume = smith
    assert parameters.brainMask is mask


def test_results_that_arrive_late_go_to_the_scan_they_were_made_from(panel, patients):  # noqa: F811
    smith, doe, parameters = patients
    parameters.inputVolume = doe
    panel.ui.applyButton.click()
    parameters.inputVolume = smith
    shown = _outputs(parameters)
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert _outputs(parameters) == shown
    parameters.inputVolume = doe
    assert Ownership.ownerOf(parameters.outputVolume) is doe


def test_nodes_of_another_patient_are_refused_as_outputs(panel, patients):  # noqa: F811
    smith, doe, parameters = patients
    first = _outputs(parameters)
    parameters.inputVolume = doe
    parameters.outputVolume = first.volume
    assert not panel.ui.applyButton.enabled
    assert "is a result of Smith_John_T2w, not of Doe_Jane_T2w" in panel.ui.warningLabel.text
    with pytest.raises(ValueError, match="result of Smith_John_T2w"):
        panel.logic.enhance(doe, outputs=first)
    slicer.mrmlScene.RemoveNode(smith)
    with pytest.raises(ValueError, match="not in the scene any more"):
        panel.logic.enhance(doe, outputs=first)


@pytest.mark.parametrize("answer", ["keep", "replace", "cancel"])
def test_an_edited_cortex_is_asked_about(panel, patients, answers, answer):  # noqa: F811
    _smith, _doe, parameters = patients
    first = _outputs(parameters)
    _drawInto(first.segmentation, first.volume)
    edited = SegmentEdits.contentOf(first.segmentation)
    answers.choice = lambda choices: {"keep": choices[0], "replace": choices[1], "cancel": None}[answer]
    applied(panel)
    assert len(answers.asked) == 1 and "Smith_John_T2w cortex was edited by hand" in answers.asked[0]
    assert (SegmentEdits.contentOf(first.segmentation) == edited) == (answer != "replace")
    assert (parameters.outputSegmentation is first.segmentation) == (answer != "keep")
    assert parameters.outputVolume is first.volume


def test_an_untouched_cortex_is_not_asked_about_even_after_saving(panel, patients, answers, tmp_path):  # noqa: F811
    applied(panel)
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    parameters = panel.logic.getParameterNode()
    assert parameters.inputVolume.GetName() == "Smith_John_T2w"
    assert parameters.outputSegmentation.GetName() == "Smith_John_T2w cortex"
    assert not SegmentEdits.editedSegments(parameters.outputSegmentation)
    _drawInto(parameters.outputSegmentation, parameters.outputVolume)
    assert SegmentEdits.editedSegments(parameters.outputSegmentation) == ["Cerebral cortex"]
    assert not answers.asked


def test_a_correction_made_during_the_run_is_kept(panel, patients):  # noqa: F811
    _smith, _doe, parameters = patients
    first = _outputs(parameters)
    panel.ui.applyButton.click()
    _drawInto(first.segmentation, first.volume)
    edited = SegmentEdits.contentOf(first.segmentation)
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert SegmentEdits.contentOf(first.segmentation) == edited
    assert parameters.outputSegmentation is not first.segmentation


def test_the_console_replaces_hand_work_only_when_told_to(logic, standIn):  # noqa: F811
    scan = phantoms.node()
    settings = EnhanceSettings(spacing=1.2)
    nodes = logic.enhance(scan, settings)
    _drawInto(nodes.segmentation, nodes.volume)
    with pytest.raises(ValueError, match="edited by hand"):
        logic.enhance(scan, settings, outputs=nodes)
    logic.releaseEdits(nodes.segmentation)
    assert logic.enhance(scan, settings, outputs=nodes) == nodes
    assert not SegmentEdits.editedSegments(nodes.segmentation)


def test_a_drawing_of_ones_own_is_no_run_s_to_replace(panel, patients, answers):  # noqa: F811
    _smith, _doe, parameters = patients
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    own.GetSegmentation().AddEmptySegment(Terminology.SEGMENT_ID, "My cortex")
    _drawInto(own, parameters.outputVolume)
    parameters.outputSegmentation = own
    panel.ui.applyButton.click()
    assert "drawn by hand was edited" in answers.asked[0] and panel.enhanceTab.control.run is None


def test_a_loaded_scene_keeps_both_patients_apart(panel, patients, tmp_path):  # noqa: F811
    _smith, doe, parameters = patients
    parameters.inputVolume = doe
    applied(panel)
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    parameters = panel.logic.getParameterNode()
    assert parameters.outputVolume.GetName() == "Doe_Jane_T2w enhanced"
    parameters.inputVolume = slicer.util.getNode("Smith_John_T2w")
    assert parameters.outputVolume.GetName() == "Smith_John_T2w enhanced"
    assert parameters.outputSegmentation.GetName() == "Smith_John_T2w cortex"


def test_the_panel_that_opens_on_mixed_parameters_sets_them_right(panel, patients):  # noqa: F811
    """A script, or a scene of an earlier version, may have set the input alone."""
    _smith, doe, parameters = patients
    first = _outputs(parameters)
    panel.setParameterNode(None)
    parameters.inputVolume = doe
    assert parameters.outputVolume is first.volume
    panel.enter()
    assert parameters.outputVolume is None


def test_a_rerun_leaves_display_and_place_to_the_reader(panel, patients):  # noqa: F811
    _smith, _doe, parameters = patients
    volume, segmentation = parameters.outputVolume, parameters.outputSegmentation
    volume.GetDisplayNode().SetWindowLevel(11.0, 22.0)
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "For the conference")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(segmentation), folder)
    applied(panel)
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (11.0, 22.0)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentation)) == folder


def test_a_surface_that_was_shown_is_that_of_the_new_run(panel, patients):  # noqa: F811
    _smith, _doe, parameters = patients
    segmentation, surfaces = parameters.outputSegmentation, []
    segmentation.CreateClosedSurfaceRepresentation()
    for spacing in (1.2, 0.8):
        parameters.spacing = spacing
        applied(panel)
        surface = slicer.vtkMRMLSegmentationNode.GetClosedSurfaceInternalRepresentation
        surfaces.append(surface(segmentation, Terminology.SEGMENT_ID).GetNumberOfPoints())
    assert surfaces[1] > 1.5 * surfaces[0] > 0


def test_a_result_is_not_offered_as_the_next_input(panel, patients):  # noqa: F811
    smith, doe, parameters = patients
    slicer.mrmlScene.RemoveNode(smith)
    slicer.mrmlScene.RemoveNode(doe)
    panel.enter()
    assert parameters.inputVolume is None  # nor is its map of disagreement
