"""What belongs to another patient is refused or named: masks, stacks, outputs, overlays, ticks, frames."""

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, logic, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
import vtk  # isort: skip
from SegSRGANModule.Scene import BrainMask, Frames, OtherOverlays, Ownership  # isort: skip
from SegSRGANModule.Scene.ResultNodes import Nodes  # isort: skip
from SegSRGANModule.TestScans import patient  # isort: skip


@pytest.fixture
def two(panel, standIn):  # noqa: F811
    """Scans of Smith and Doe, each in a study of their own; Smith is chosen."""
    standIn("finds brain")
    scans = [patient(name, phantoms.node(f"{name}_T2w"), isBrain=False) for name in ("Smith", "Doe")]
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume = scans[0]
    return *scans, parameters


def test_a_scan_is_never_an_output(panel, logic, two):  # noqa: F811
    smith, doe, parameters = two
    before = slicer.util.arrayFromVolume(doe).copy()
    parameters.outputVolume = doe
    assert not panel.ui.applyButton.enabled
    assert "Doe_T2w is no result of a run and would be overwritten" in panel.ui.warningLabel.text
    with pytest.raises(ValueError, match="would be overwritten"):
        logic.enhance(smith, outputs=Nodes(volume=doe))
    parameters.outputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    assert panel.ui.applyButton.enabled
    assert np.array_equal(slicer.util.arrayFromVolume(doe), before)


def test_a_mask_is_never_an_output(panel, logic, two):  # noqa: F811
    smith, _doe, parameters = two
    applied(panel)
    parameters.brainMask = parameters.outputSegmentation
    assert not panel.ui.applyButton.enabled
    assert "is both the mask and the output" in panel.ui.warningLabel.text
    with pytest.raises(ValueError, match="both the mask and the output"):
        logic.enhance(smith, mask=parameters.brainMask, outputs=Nodes(segmentation=parameters.outputSegmentation))


def test_a_mask_of_another_patient_is_named(panel, two):  # noqa: F811
    _smith, doe, parameters = two
    applied(panel)
    mask = parameters.brainMask
    assert "Smith" not in panel.ui.warningLabel.text
    parameters.inputVolume, parameters.brainMask = doe, mask
    text = panel.ui.warningLabel.text
    assert "Smith_T2w brain mask belongs to the patient Smith, Doe_T2w to Doe" in text
    assert panel.ui.applyButton.enabled  # two names may be of one child


def test_a_mask_of_another_scan_is_named(panel, standIn):  # noqa: F811
    """Nothing in the hierarchy tells whose it is, but it was drawn on another scan."""
    first, second = phantoms.node("first"), phantoms.node("second")
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume = second
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    mask.SetReferenceImageGeometryParameterFromVolumeNode(first)
    segment = mask.GetSegmentation().AddEmptySegment("brain")
    inside = (phantoms.ellipsoids() > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(inside, mask, segment, first)
    parameters.brainMask = mask
    assert "The mask drawn was made for first, not for second" in panel.ui.warningLabel.text
    mask.SetReferenceImageGeometryParameterFromVolumeNode(second)
    parameters.threshold = 0.4  # any change looks again
    assert "was made for" not in panel.ui.warningLabel.text


def test_a_surface_of_another_module_is_a_mask(panel, standIn):  # noqa: F811
    """A segmentation without a label map is not called empty."""
    scan = phantoms.node()
    panel.enter()
    box = [0.0] * 6
    scan.GetRASBounds(box)
    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(6.0)
    sphere.SetCenter(*((box[k] + box[k + 1]) / 2 for k in (0, 2, 4)))
    sphere.Update()
    surface = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surface")
    surface.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "brain", [1.0, 0.0, 0.0])
    panel.logic.getParameterNode().brainMask = surface
    assert "is empty" not in panel.ui.warningLabel.text
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text


def test_a_stack_of_another_patient_is_named(panel, two):  # noqa: F811
    _smith, doe, parameters = two
    parameters.secondStack = doe
    assert "Doe_T2w belongs to the patient Doe, Smith_T2w to Smith" in panel.ui.warningLabel.text


def test_a_result_as_the_input_is_named(panel, two):  # noqa: F811
    _smith, _doe, parameters = two
    applied(panel)
    parameters.inputVolume = parameters.outputVolume
    assert "Smith_T2w enhanced is a result of Smith_T2w, not a scan" in panel.ui.warningLabel.text


def test_overlays_of_another_scan_are_named_and_hidden_by_a_button(panel, two):  # noqa: F811
    smith, doe, parameters = two
    applied(panel)
    drawn = [parameters.outputSegmentation, parameters.brainMask]
    assert OtherOverlays.over(smith) == [] and panel.ui.otherOverlaysLabel.text == ""
    parameters.inputVolume = doe
    text = panel.ui.otherOverlaysLabel.text
    assert all(node.GetName() in text for node in drawn) and "over Doe_T2w" in text
    assert "over Doe_T2w" in panel.ui.warningLabel.text  # before Apply, too
    assert all(node.GetDisplayNode().GetVisibility() for node in drawn)  # nothing is hidden by itself
    assert panel.ui.hideOthersButton.enabled
    panel.ui.hideOthersButton.click()
    assert not any(node.GetDisplayNode().GetVisibility() for node in drawn)
    assert panel.ui.otherOverlaysLabel.text == ""
    parameters.inputVolume = smith
    assert OtherOverlays.over(smith) == []


def test_overlays_elsewhere_are_not_named(panel, two):  # noqa: F811
    smith, doe, parameters = two
    applied(panel)
    matrix = vtk.vtkMatrix4x4()
    doe.GetIJKToRASMatrix(matrix)
    matrix.SetElement(0, 3, matrix.GetElement(0, 3) + 500.0)
    doe.SetIJKToRASMatrix(matrix)
    assert OtherOverlays.over(doe) == []


def test_a_tick_belongs_to_its_scan(panel, two, standIn):  # noqa: F811
    """Doe's head is not taken for a brain because Smith's scan was one."""
    smith, doe, parameters = two
    panel.ui.isBrainCheckBox.checked = True
    parameters.inputVolume = doe
    assert not parameters.isBrain and not panel.ui.isBrainCheckBox.checked
    applied(panel)
    asked = standIn.asked()
    assert asked[asked.index("--mask") + 1] == "auto"
    parameters.inputVolume = smith
    assert panel.ui.isBrainCheckBox.checked


def test_the_tick_of_a_scan_is_not_that_of_a_batch(panel, two):  # noqa: F811
    parameters = two[2]
    parameters.isBrain = True
    assert panel.batchTab._settings().batchArguments()[-1] == "auto"
    panel.ui.batchIsBrainCheckBox.checked = True
    assert panel.batchTab._settings().batchArguments()[-1] == "none"


def _sequence(name: str, factor: float):
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} 4D")
    for number in range(2):
        frame = phantoms.node("frame")
        slicer.util.arrayFromVolume(frame)[:] *= factor
        sequence.SetDataNodeAtValue(frame, str(number))
        slicer.mrmlScene.RemoveNode(frame)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    scan = phantoms.node(name)
    browser.AddProxyNode(scan, sequence, False)
    return scan


def test_frames_of_two_patients_are_told_apart_after_scenes_were_merged(panel, tmp_path):  # noqa: F811
    """Nodes get other ids when a scene is loaded into another one."""
    Frames.copies(_sequence("Doe", 2.0))
    assert slicer.util.saveScene(str(tmp_path / "doe.mrb"))
    slicer.mrmlScene.Clear(False)
    smith = _sequence("Smith", 1.0)
    Ownership.setBrain(smith, True)
    slicer.util.loadScene(str(tmp_path / "doe.mrb"))
    frames = Frames.copies(smith)
    assert [frame.GetName() for frame in frames] == ["Smith frame 1", "Smith frame 2"]
    assert all(slicer.util.arrayFromVolume(frame).max() == phantoms.CORTEX_VALUE for frame in frames)
    assert all(map(Ownership.isBrain, frames))
    assert Frames.copies(smith) == frames


def test_a_deleted_scan_s_results_are_nobody_else_s(panel, standIn, tmp_path):  # noqa: F811
    """Also where the next scan gets the id of the deleted one."""
    smith = phantoms.node("Smith")
    panel.enter()
    applied(panel)
    slicer.mrmlScene.RemoveNode(smith)
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    doe = phantoms.node("Doe")
    assert Ownership.ownerOf(slicer.util.getNode("Smith enhanced")) is None
    panel.logic.getParameterNode().inputVolume = doe
    assert panel.logic.getParameterNode().outputVolume is None


def test_a_mask_under_a_warp_is_where_it_was_found(panel, standIn):  # noqa: F811
    """A transform that is not linear: the mask found under it, and the rerun with it, are exact."""
    standIn("finds brain")
    scan, warp = phantoms.node(), phantoms.warp()
    scan.SetAndObserveTransformNodeID(warp.GetID())
    panel.enter()
    applied(panel)
    parameters = panel.logic.getParameterNode()
    found = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.brainMask, BrainMask.SEGMENT_ID, scan)
    assert np.array_equal(found > 0, phantoms.ellipsoids() > 0)
    for node in (parameters.outputVolume, parameters.outputSegmentation, parameters.brainMask):
        assert node.GetTransformNodeID() == warp.GetID()
    first = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.outputSegmentation, "cortex", scan).copy()
    applied(panel)
    again = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.outputSegmentation, "cortex", scan)
    assert first.any() and np.array_equal(first, again)
