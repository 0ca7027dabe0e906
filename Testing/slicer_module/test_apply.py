"""Apply, from the press of the button to the nodes: real MRML, real Qt, a stand-in child."""

import os

from harness.fixtures import (  # noqa: F401
    applied,
    cleanScene,
    makePanel,
    models,
    panel,
    slicer,
    standIn,
    waitFor,
)

import phantoms  # isort: skip


def test_apply_makes_nodes_and_the_panel_shows_them(panel, standIn):  # noqa: F811
    source = phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing = 0.8
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text
    assert parameters.outputVolume.GetName() == "T2w enhanced"
    assert panel.ui.outputSegmentationSelector.currentNode().GetName() == "T2w cortex"
    assert parameters.outputProbability is None  # it was not asked for
    assert panel.ui.applyButton.enabled and not panel.ui.cancelButton.enabled
    first = parameters.outputVolume
    applied(panel)  # again, into the same nodes
    assert parameters.outputVolume is first
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert names == ["T2w", "T2w enhanced", "T2w enhanced consistency"]
    assert parameters.inputVolume is source


def test_probability_map_is_filled_when_a_node_is_chosen(panel, standIn):  # noqa: F811
    phantoms.node()
    panel.enter()
    node = panel.ui.outputProbabilitySelector.addNode()
    applied(panel)
    assert panel.logic.getParameterNode().outputProbability is node
    assert slicer.util.arrayFromVolume(node).max() == 1


def test_a_model_that_does_not_segment_shows_no_other_segmentation_as_its_own(panel, standIn):  # noqa: F811
    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    probability = panel.ui.outputProbabilitySelector.addNode()
    applied(panel)
    earlier, drawn = parameters.outputSegmentation, slicer.util.arrayFromVolume(probability).sum()
    standIn("intensity")
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text
    assert parameters.outputVolume and parameters.outputSegmentation is None
    assert earlier in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")  # the user's now, and unchanged
    assert slicer.util.arrayFromVolume(probability).sum() == drawn > 0
    assert panel.ui.volumesTable.rowCount == 0


def test_the_options_reach_the_child(panel, standIn):  # noqa: F811
    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing, parameters.device, parameters.patch, parameters.overlap = 0.75, "cpu", 96, 0.25
    parameters.threshold, parameters.biasCorrection, parameters.mixedPrecision = 0.4, True, False
    applied(panel)
    line = " ".join(standIn.asked())
    for option in (
        "--spacing 0.75",
        "--device cpu",
        "--patch 96",
        "--overlap 0.25",
        "--threshold 0.4",
        "--model stand-in",
    ):
        assert option in line
    assert "--mask auto" in line and "--bias-correction" in line and "--precision float32" in line


def test_progress_and_remaining_time_are_shown(panel, standIn):  # noqa: F811
    standIn("slow")
    phantoms.node()
    panel.enter()
    ui = panel.ui
    panel.parent.show()
    ui.applyButton.click()
    assert not ui.applyButton.enabled and ui.cancelButton.enabled
    waitFor(lambda: ui.statusLabel.text == "Reading")
    assert ui.progressBar.visible and ui.progressBar.value >= 100
    assert "left" in ui.progressBar.format or "finishing" in ui.progressBar.format
    ui.cancelButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert "Cancelled" in ui.statusLabel.text
    assert not ui.progressBar.visible
    assert not slicer.util.getNodes("*enhanced*")
    assert ui.applyButton.enabled
    panel.parent.hide()


def test_the_bar_moves_and_the_time_left_is_no_promise(panel, monkeypatch):  # noqa: F811
    """The child said 2 %, then nothing for a minute, then 95 % with "2 s left", and took another 49 s."""
    from SegSRGANModule.Panel import RunDisplay

    now = [100.0]
    monkeypatch.setattr(RunDisplay.time, "monotonic", lambda: now[0])
    display, bar = panel.enhanceTab.control.display, panel.ui.progressBar
    display.started(expected=100.0)
    now[0] += 30.0  # the child loads its packages, on a busy machine for long: no share of the work is done
    display._tick()
    assert bar.value == 0
    display.progress({"fraction": 0.02, "message": "Interpolating", "remaining": None})
    seen = []
    for _step in range(6):
        now[0] += 10.0
        display._tick()
        seen.append((bar.value, bar.format))
    assert [value for value, _text in seen] == [100, 200, 300, 400, 500, 600]
    assert seen[0][1] == "%p%, about 2 min left" and seen[-1][1] == "%p%, about 40 s left"
    display.progress({"fraction": 0.5, "message": "Predicting", "remaining": 25.0})
    assert bar.value == 600 and "about 25 s left" in bar.format  # the child knows better, and the bar never goes back
    display.progress({"fraction": 0.95, "message": "Measuring", "remaining": 2.0})
    assert bar.value == 950 and "about 40 s left" in bar.format
    now[0] += 49.0
    display._tick()
    assert bar.format == "%p%, finishing"
    display.idle()


def test_an_error_is_one_sentence_with_details_on_demand(panel, standIn):  # noqa: F811
    standIn("fail")
    phantoms.node()
    panel.enter()
    panel.parent.show()
    applied(panel)
    ui = panel.ui
    assert ui.statusLabel.text == "The volume is made of cheese; choose one of a brain."
    assert not ui.detailsText.visible
    ui.detailsButton.click()
    assert ui.detailsText.visible
    assert "a line of details" in ui.detailsText.toPlainText()
    assert not slicer.util.getNodes("*enhanced*")
    panel.parent.hide()


def test_a_child_that_dies_is_survived(panel, standIn):  # noqa: F811
    standIn("crash")
    phantoms.node()
    panel.enter()
    applied(panel)
    assert "ended unexpectedly" in panel.ui.statusLabel.text
    standIn("")
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text


def test_results_that_cannot_be_read_are_an_error(panel, standIn, monkeypatch):  # noqa: F811
    from SegSRGANModule.Scene import ResultNodes

    real = ResultNodes.ResultFiles.path

    def path(files, suffix):
        found = real(files, suffix)
        if suffix == "cortex.nii.gz" and found.is_file():
            found.write_bytes(b"the disk is gone")
        return found

    monkeypatch.setattr(ResultNodes.ResultFiles, "path", path)
    source = phantoms.node()
    panel.enter()
    applied(panel)
    assert "could not be loaded" in panel.ui.statusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLVolumeNode") == [source]  # no half of a result


def test_nothing_stays_on_disk_after_runs(panel, standIn):  # noqa: F811
    before = set(os.listdir(slicer.app.temporaryPath))
    phantoms.node()
    panel.enter()
    panel.ui.outputProbabilitySelector.addNode()
    for _time in range(2):
        applied(panel)
    assert set(os.listdir(slicer.app.temporaryPath)) == before


def test_closing_the_scene_during_a_run(panel, standIn):  # noqa: F811
    standIn("slow")
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    waitFor(lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(False)
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert not panel.ui.applyButton.enabled
    assert "Cancelled" in panel.ui.statusLabel.text
    standIn("")
    phantoms.node()
    panel.enter()
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text
    slicer.mrmlScene.Clear(False)
    assert panel.ui.statusLabel.text == ""  # what was done is gone


def test_deleting_input_and_output_during_a_run(panel, standIn):  # noqa: F811
    source = phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "target")
    parameters.outputVolume = target
    panel.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(source)
    slicer.mrmlScene.RemoveNode(target)
    waitFor(lambda: panel.enhanceTab.control.run is None)
    assert "Done" in panel.ui.statusLabel.text
    assert parameters.outputVolume.GetName() == "T2w enhanced"


def test_brain_mask_reaches_the_child(panel, standIn):  # noqa: F811
    import numpy as np
    import SimpleITK as sitk
    from SegSRGANModule.Scene import VolumeNodes

    phantoms.node()
    half = phantoms.image()
    values = np.zeros(phantoms.SHAPE, np.uint8)
    values[:, :, 20:] = 1
    mask = sitk.GetImageFromArray(values)
    mask.CopyInformation(half)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    VolumeNodes.setVolumeFromImage(node, mask)
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.brainMask, parameters.spacing = node, 0.8
    applied(panel)
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.outputSegmentation, "cortex", parameters.inputVolume)
    assert drawn[:, :, 21:].any() and not drawn[:, :, :19].any()


def test_more_stacks_of_the_child_reach_the_child_process(panel, standIn):  # noqa: F811
    first, second, third = phantoms.node(), phantoms.node("coronal"), phantoms.node("sagittal")
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = first, 0.8
    alone = panel.ui.preflightLabel.text
    parameters.secondStack, parameters.thirdStack = second, third
    assert panel.ui.thirdStackSelector.currentNode() is third
    assert panel.ui.preflightLabel.text.startswith("3 stacks of one child become one volume: ")
    assert panel.ui.preflightLabel.text != alone
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text
    asked = standIn.asked()
    start = asked.index("predict") + 1
    names = [os.path.basename(text) for text in asked[start : start + 3]]
    assert names == ["T2w.nrrd", "stack-2.nrrd", "stack-3.nrrd"]
    parameters.inputVolume = second  # its own choices: none
    assert parameters.secondStack is None and parameters.thirdStack is None
    parameters.inputVolume = first
    assert parameters.secondStack is second and parameters.thirdStack is third


def test_a_stack_that_is_chosen_twice_is_refused(panel, standIn):  # noqa: F811
    first = phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.secondStack = first
    assert not panel.ui.applyButton.enabled
    assert "T2w is chosen twice" in panel.ui.warningLabel.text


def test_closing_the_module_ends_the_child(panel, standIn):  # noqa: F811
    standIn("stubborn")
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    run = panel.enhanceTab.control.run
    waitFor(lambda: run._pid is not None)
    panel.enhanceTab.close()
    waitFor(lambda: not run.isRunning)


def test_a_panel_that_goes_away_during_a_run_leaves_nothing(makePanel, standIn, monkeypatch):  # noqa: F811
    from SegSRGANModule.Panel.RunDisplay import RunDisplay

    standIn("stubborn")
    before = set(os.listdir(slicer.app.temporaryPath))
    source = phantoms.node()
    widget = makePanel()
    widget.ui.applyButton.click()
    run = widget.enhanceTab.control.run
    waitFor(lambda: run._pid is not None)
    widget.cleanup()
    touched = []
    monkeypatch.setattr(RunDisplay, "ended", lambda *arguments: touched.append(arguments))
    waitFor(lambda: not run.isRunning)
    assert not touched  # in the application its widgets are destroyed by now
    assert set(os.listdir(slicer.app.temporaryPath)) == before
    assert slicer.util.getNodesByClass("vtkMRMLVolumeNode") == [source]
