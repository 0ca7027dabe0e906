"""Before Apply: what will happen, how long it will take, and what cannot be enhanced, in words."""

import dataclasses
import re

import numpy as np
import pytest
from harness.fixtures import cleanScene, logic, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
import vtk  # isort: skip
from SegSRGANModule import Preflight  # isort: skip
from SegSRGANModule.Scene import Ownership, VolumeNodes  # isort: skip
from SegSRGANModule.Settings import EnhanceSettings  # isort: skip


def test_preflight_says_what_will_happen(panel):  # noqa: F811
    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing = 0.8
    line = panel.ui.preflightLabel.text
    for words in ("0.8 x 0.7 x 2.4 mm", "10 slices", "36 x 38 x 30 voxels", "about 1 s on this CPU"):
        assert words in line
    work = Preflight.Work(1_000_000, 1_000_000, "stand-in", "cpu")
    Preflight.remember(work, {"device": "cpu (2 threads)", "seconds": {"prediction": 6000.0}}, 6001.0)
    parameters.spacing = 0.4
    assert "min on this CPU" in panel.ui.preflightLabel.text


def test_the_estimate_knows_mask_and_model(panel):  # noqa: F811
    source = phantoms.node()
    panel.enter()
    settings = EnhanceSettings(spacing=0.8)
    whole = Preflight.workOf(source, settings)
    assert whole.voxels == whole.seen == 36 * 38 * 30
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    VolumeNodes.setVolumeFromImage(mask, phantoms.image(angles=(0, 0, 0)) > 0)
    masked = Preflight.workOf(source, settings, mask)
    assert masked.voxels == whole.voxels and masked.seen < whole.seen
    record = {"device": "cpu (1 threads)", "seconds": {"prediction": 80.0}}
    Preflight.remember(whole, record, 90.0)
    assert Preflight.seconds(whole) == pytest.approx(90.0)
    share = masked.seen / masked.voxels
    assert Preflight.seconds(masked) == pytest.approx(80.0 * share + 10.0)
    other = dataclasses.replace(whole, model="another")
    assert Preflight.seconds(other) != pytest.approx(90.0)  # it was never timed


def test_a_large_scan_is_told_in_plain_numbers(panel):  # noqa: F811
    source = phantoms.node()
    slicer.util.updateVolumeFromArray(source, np.random.default_rng(0).uniform(0, 9, (4, 1200, 1201)))
    source.SetSpacing(0.5, 0.5, 2.0)
    panel.enter()
    assert "1200 x 1201 x 16 voxels" in panel.ui.preflightLabel.text.replace("1201 x 1200", "1200 x 1201")


@pytest.mark.parametrize(
    ("name", "change", "warning"),
    [
        ("T1w", None, "T1w"),
        ("T2w", "isotropic", "already about as fine"),
        ("T2w", "transform", "under the transform Shift"),
        ("T2w", "thick", "trained on 1 to 6 mm"),
        ("CT", None, "T2-weighted MRI only"),
        ("T2w", "negative", "negative values"),
    ],
)
def test_preflight_warns(panel, name, change, warning):  # noqa: F811
    source = phantoms.node(name)
    values = slicer.util.arrayFromVolume(source)
    if change == "isotropic":
        source.SetSpacing(0.5, 0.5, 0.5)
    elif change == "thick":
        source.SetSpacing(0.5, 0.5, 9.0)
    elif change == "transform":
        source.SetAndObserveTransformNodeID(phantoms.transform().GetID())
    elif change == "negative":
        values[0] = -1000
    slicer.util.arrayFromVolumeModified(source)
    panel.enter()
    panel.enhanceTab.update()
    assert warning in panel.ui.warningLabel.text
    assert panel.ui.applyButton.enabled


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("constant", "All voxels of T2w have the same value, 7"),
        ("nan", "3 voxels that are no numbers"),
        ("labels", "looks like a label map (9 different values"),
        ("mask", "looks like a label map (2 different values"),
        ("colour", "is a colour picture (3 values a voxel)"),
        ("sheared", "not at right angles"),
        ("flat", "no valid voxel spacing"),
        ("empty", "has no voxels"),
        ("slice", "is a single slice"),
    ],
)
def test_what_cannot_be_enhanced_is_told_apart(panel, logic, change, problem):  # noqa: F811
    source = phantoms.node()
    values = slicer.util.arrayFromVolume(source).copy()
    matrix = vtk.vtkMatrix4x4()
    source.GetIJKToRASMatrix(matrix)
    if change == "constant":
        values[:] = 7
    elif change == "nan":
        values[0, 0, :3] = (np.nan, np.inf, -np.inf)
    elif change in ("labels", "mask"):
        blocks = np.indices(values.shape)[1] // 5 % 9
        values = (blocks if change == "labels" else values > 0).astype(np.uint8)
    elif change == "colour":
        channels = vtk.vtkImageAppendComponents()
        for _channel in range(3):
            channels.AddInputData(source.GetImageData())
        channels.Update()
        source.SetAndObserveImageData(channels.GetOutput())
    elif change == "sheared":
        matrix.SetElement(0, 1, matrix.GetElement(0, 1) + 0.3)
    elif change == "flat":
        for row in range(3):
            matrix.SetElement(row, 2, 0.0)
    if change in ("empty", "slice"):
        values = values[:0] if change == "empty" else values[:1]
    if change == "empty":
        source.SetAndObserveImageData(None)
    elif change != "colour":
        slicer.util.updateVolumeFromArray(source, values)
    if change in ("sheared", "flat"):
        source.SetIJKToRASMatrix(matrix)
    panel.enter()
    panel.logic.getParameterNode().inputVolume = source
    panel.enhanceTab.update()
    assert problem in panel.ui.warningLabel.text
    assert not panel.ui.applyButton.enabled
    with pytest.raises(ValueError, match=re.escape(problem)):
        logic.enhance(source)


def test_an_image_of_few_bits_is_no_label_map(panel):  # noqa: F811
    source = phantoms.node()
    noise = np.random.default_rng(0).integers(0, 12, phantoms.SHAPE)
    slicer.util.updateVolumeFromArray(source, (noise * (phantoms.ellipsoids() > 0)).astype(np.uint8))
    panel.enter()
    assert panel.ui.applyButton.enabled


@pytest.mark.parametrize("kind", ["no segment", "empty segment", "label map", "erased segment"])
def test_an_empty_mask_is_said_before_apply(panel, logic, kind):  # noqa: F811
    source = phantoms.node()
    if kind == "label map":
        mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
        slicer.util.updateVolumeFromArray(mask, np.zeros(phantoms.SHAPE, np.uint8))
    else:
        mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mask")
        if kind != "no segment":
            segment = mask.GetSegmentation().AddEmptySegment("", "Brain")
        if kind == "erased segment":
            for value in (1, 0):
                array = np.full(phantoms.SHAPE, value, np.uint8)
                slicer.util.updateSegmentBinaryLabelmapFromArray(array, mask, segment, source)
    panel.enter()
    panel.logic.getParameterNode().brainMask = mask
    assert "The mask Mask is empty; draw the brain in it" in panel.ui.warningLabel.text
    assert not panel.ui.applyButton.enabled
    with pytest.raises(ValueError, match="Mask is empty"):
        logic.enhance(source, mask=mask)


def _fourDimensional():
    """A scan of three frames, each brighter than the one before; the second one is shown."""
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
    for number in range(3):
        frame = phantoms.node(f"frame {number}")
        slicer.util.updateVolumeFromArray(frame, slicer.util.arrayFromVolume(frame) * (number + 1))
        sequence.SetDataNodeAtValue(frame, str(number))
        slicer.mrmlScene.RemoveNode(frame)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    proxy = phantoms.node("4D scan")
    browser.AddProxyNode(proxy, sequence, False)
    browser.SetSelectedItemNumber(1)
    return browser, proxy


def test_a_frame_of_a_sequence_is_named(panel):  # noqa: F811
    _browser, proxy = _fourDimensional()
    panel.enter()
    panel.logic.getParameterNode().inputVolume = proxy
    assert "is one of 3 frames of a sequence: the frame shown, number 2" in panel.ui.warningLabel.text
    assert panel.ui.applyButton.enabled
    assert not panel.ui.allFramesButton.isHidden()
    panel.logic.getParameterNode().inputVolume = phantoms.node("3D scan")
    assert panel.ui.allFramesButton.isHidden()


def test_all_frames_become_volumes_with_their_own_results(panel, standIn):  # noqa: F811
    _browser, proxy = _fourDimensional()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = proxy, 0.8
    panel.ui.allFramesButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None and not panel.enhanceTab._frames._left)
    assert "Done: 3 frames" in panel.ui.statusLabel.text
    for number in range(3):
        scan = slicer.util.getNode(f"4D scan frame {number + 1}")
        result = Ownership.chosen(scan, "outputVolume")
        assert Ownership.ownerOf(result) is scan
        assert slicer.util.arrayFromVolume(result).max() == phantoms.CORTEX_VALUE * (number + 1)
    assert Ownership.chosen(proxy, "outputVolume") is None
    parameters.inputVolume = proxy
    panel.ui.allFramesButton.click()  # again: the same nodes
    waitFor(lambda: panel.enhanceTab.control.run is None and not panel.enhanceTab._frames._left)
    assert len([n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if " frame " in n.GetName()]) == 9


def test_a_frame_that_was_deleted_meanwhile_is_left_out(panel, standIn):  # noqa: F811
    _browser, proxy = _fourDimensional()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = proxy, 0.8
    panel.ui.allFramesButton.click()
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("4D scan frame 2"))
    waitFor(lambda: panel.enhanceTab.control.run is None and not panel.enhanceTab._frames._left)
    assert "Done" in panel.ui.statusLabel.text
    for number in (1, 3):
        assert Ownership.chosen(slicer.util.getNode(f"4D scan frame {number}"), "outputVolume")


def test_cancel_ends_all_frames(panel, standIn):  # noqa: F811
    standIn("slow")
    _browser, proxy = _fourDimensional()
    panel.enter()
    panel.logic.getParameterNode().inputVolume = proxy
    panel.ui.allFramesButton.click()
    assert not panel.ui.allFramesButton.enabled
    waitFor(lambda: panel.enhanceTab.control.run._pid is not None)
    panel.ui.cancelButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
    slicer.app.processEvents()
    assert panel.enhanceTab.control.run is None and "Cancelled" in panel.ui.statusLabel.text


def test_a_4d_file_without_a_sequence_is_told_from_a_colour_picture(panel):  # noqa: F811
    import vtk.util.numpy_support

    source = phantoms.node("4D")
    values = np.random.default_rng(0).uniform(0, 9, (*phantoms.SHAPE, 6)).astype(np.float32)
    scalars = vtk.util.numpy_support.numpy_to_vtk(values.reshape(-1, 6), deep=True)
    source.GetImageData().GetPointData().SetScalars(scalars)
    panel.enter()
    panel.logic.getParameterNode().inputVolume = source
    assert "6 values a voxel (a 4D scan); load it as a volume sequence" in panel.ui.warningLabel.text


def test_what_happens_to_the_scan_later_is_seen(panel):  # noqa: F811
    source = phantoms.node()
    panel.enter()
    source.SetAndObserveTransformNodeID(phantoms.transform().GetID())
    assert "under the transform Shift" in panel.ui.warningLabel.text
    slicer.util.arrayFromVolume(source)[:] = 7
    slicer.util.arrayFromVolumeModified(source)
    assert "same value" in panel.ui.warningLabel.text and not panel.ui.applyButton.enabled


def test_a_volume_that_is_loaded_while_the_panel_is_open_is_offered(panel):  # noqa: F811
    panel.enter()
    assert panel.logic.getParameterNode().inputVolume is None
    source = phantoms.node()
    slicer.app.processEvents()
    assert panel.logic.getParameterNode().inputVolume is source
    phantoms.node("another")
    slicer.app.processEvents()
    assert panel.logic.getParameterNode().inputVolume is source  # a choice stays


def test_a_plain_volume_gives_no_warning(panel):  # noqa: F811
    phantoms.node("sub-01_T2w")
    panel.enter()
    panel.logic.getParameterNode().isBrain = True
    assert panel.ui.warningLabel.text.count("\u26a0") == 1  # its field of view is that of a toy
    assert "does not hold a whole brain" in panel.ui.warningLabel.text
