"""What a reader does to the scene while a run goes on: nothing is lost, misplaced or taken for what it is not."""

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, logic, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
import qt  # isort: skip
from SegSRGANModule.Jobs.ChildProcess import ChildProcess  # isort: skip
from SegSRGANModule.Scene import Ownership  # isort: skip


@pytest.fixture
def started(panel, standIn, monkeypatch):  # noqa: F811
    """A scan is chosen; the list says which children were started."""
    phantoms.node("Smith")
    panel.enter()
    children, start = [], ChildProcess.start
    monkeypatch.setattr(ChildProcess, "start", lambda self: children.append(self) or start(self))
    return children


def _during(panel, change) -> None:  # noqa: F811
    """Apply, do something at once, wait for the end."""
    panel.ui.applyButton.click()
    change()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert "Done" in panel.ui.statusLabel.text


def test_a_second_click_starts_no_second_run(panel, started, standIn):  # noqa: F811
    """The click arrives while the packages are looked for, when there is no run yet that keeps Apply off."""
    standIn("slow")
    qt.QTimer.singleShot(0, panel.ui.applyButton.click)
    panel.ui.applyButton.click()
    slicer.app.processEvents()
    assert len(started) == 1
    panel.ui.cancelButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert "Cancelled" in panel.ui.statusLabel.text and not started[0].isRunning


def test_another_scan_chosen_at_the_start_does_not_change_the_mask(panel, started, standIn):  # noqa: F811
    """The mask of the run is that of its scan, also when Doe is chosen while the packages are looked for."""
    smith, doe = slicer.util.getNode("Smith"), phantoms.node("Doe")
    parameters = panel.logic.getParameterNode()
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask of Smith")
    mask.CopyOrientation(smith)
    slicer.util.updateVolumeFromArray(mask, (phantoms.ellipsoids() > 0).astype(np.uint8))
    parameters.brainMask = mask

    def choose():
        parameters.inputVolume = doe

    qt.QTimer.singleShot(0, choose)
    panel.ui.applyButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert parameters.inputVolume is doe
    asked = standIn.asked()
    assert asked[asked.index("--mask") + 1].endswith("mask.nrrd")
    assert Ownership.ownerOf(Ownership.chosen(smith, "outputVolume")) is smith
    assert Ownership.chosen(doe, "outputVolume") is None


def test_renamed(panel, started):  # noqa: F811
    """A name that was wrong is not brought back by its results."""
    scan = slicer.util.getNode("Smith")
    _during(panel, lambda: scan.SetName("Doe"))
    parameters = panel.logic.getParameterNode()
    assert parameters.outputVolume.GetName() == "Doe enhanced"
    assert parameters.outputSegmentation.GetName() == "Doe cortex"


def test_put_under_a_transform(panel, started):  # noqa: F811
    scan, transform = slicer.util.getNode("Smith"), phantoms.transform()
    _during(panel, lambda: scan.SetAndObserveTransformNodeID(transform.GetID()))
    parameters = panel.logic.getParameterNode()
    assert parameters.outputVolume.GetTransformNodeID() == transform.GetID()
    assert parameters.outputSegmentation.GetTransformNodeID() == transform.GetID()


def test_transform_hardened(panel, started):  # noqa: F811
    """The voxels of the scan were moved, those of the result were not: it stays where the scan is seen."""
    scan, transform = slicer.util.getNode("Smith"), phantoms.transform()
    scan.SetAndObserveTransformNodeID(transform.GetID())
    before = [0.0] * 6
    scan.GetRASBounds(before)
    _during(panel, scan.HardenTransform)
    result, after = panel.logic.getParameterNode().outputVolume, [0.0] * 6
    result.GetRASBounds(after)
    assert scan.GetTransformNodeID() is None and result.GetTransformNodeID() == transform.GetID()
    assert after == pytest.approx(before, abs=1.0)


def test_moved_in_the_subject_hierarchy(panel, started):  # noqa: F811
    scan, hierarchy = slicer.util.getNode("Smith"), slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Smith"), "MRI")
    _during(panel, lambda: hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), study))
    result = panel.logic.getParameterNode().outputVolume
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result)) == study


@pytest.mark.parametrize("when", ["during the run", "after it"])
def test_other_voxels_are_said(panel, started, tmp_path, when):  # noqa: F811
    """A frame that moved on, a crop, a filter: the result is of the scan as it was, also after a reload."""
    scan, ui = slicer.util.getNode("Smith"), panel.ui

    def change():
        slicer.util.arrayFromVolume(scan)[:] *= 0.5
        slicer.util.arrayFromVolumeModified(scan)

    if when == "during the run":
        _during(panel, change)
    else:
        applied(panel)
        assert "was changed" not in ui.qualityLabel.text
        change()
    assert "Smith was changed since this run" in ui.qualityLabel.text
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    assert "Smith was changed since this run" in ui.qualityLabel.text
    applied(panel)
    assert "was changed" not in ui.qualityLabel.text


def test_a_scene_is_loaded_into_this_one(panel, started, standIn, tmp_path):  # noqa: F811
    """Nodes and items of the hierarchy get other numbers; the result still goes to its scan, and beside it."""
    slicer.util.getNode("Smith").SetName("Doe")
    applied(panel)
    assert slicer.util.saveScene(str(tmp_path / "doe.mrb"))
    slicer.mrmlScene.Clear(False)
    smith = phantoms.node("Smith")
    panel.enter()
    _during(panel, lambda: slicer.util.loadScene(str(tmp_path / "doe.mrb")))
    result = Ownership.chosen(smith, "outputVolume")
    assert Ownership.ownerOf(result) is smith and result.GetName() == "Smith enhanced"
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    parents = [hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (smith, result)]
    assert parents[0] == parents[1] != 0


@pytest.mark.parametrize("name", ["S" * 300, "M\u00fc" * 100, "a/b\\c: d*?", "."])
def test_any_name_of_a_node_will_do(panel, started, name):  # noqa: F811
    """Names of files have limits that names of nodes lack."""
    slicer.util.getNode("Smith").SetName(name)
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text
    assert panel.logic.getParameterNode().outputVolume.GetName() == f"{name} enhanced"
