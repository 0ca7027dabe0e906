"""The views are the reader's: layout, zoom, slice and display change only by their own controls."""

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, models, panel, slicer, sliceViews, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
from SegSRGANModule.Scene import SliceViews  # isort: skip

ROW = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def _views() -> dict:
    """Layout, and of every slice view field of view, place and orientation."""
    state = {"layout": slicer.app.layoutManager().layout}
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        place = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).round(3).tolist()
        state[node.GetLayoutName()] = tuple(round(f, 3) for f in node.GetFieldOfView()), place, node.GetOrientation()
    return state


def _composite(name="Red"):
    return next(node for node in SliceViews.composites() if node.GetLayoutName() == name)


@pytest.fixture
def reading(panel, standIn):  # noqa: F811
    """A reader looks at a detail of a scan, in a layout of their own, and presses Apply."""
    scan = phantoms.node()
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    slicer.app.layoutManager().setLayout(ROW)
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    red.SetFieldOfView(20.0, 20.0, 1.0)
    red.SetSliceOffset(3.0)
    panel.enter()
    panel.logic.getParameterNode().spacing = 0.8
    before = _views()
    applied(panel)
    return scan, panel.logic.getParameterNode(), before


def test_apply_leaves_layout_zoom_and_slice(panel, reading):  # noqa: F811
    scan, parameters, before = reading
    assert _views() == before
    assert _composite().GetBackgroundVolumeID() == scan.GetID()  # and the result is there to fade to
    assert _composite().GetForegroundVolumeID() == parameters.outputVolume.GetID()


def test_a_rerun_changes_no_view_and_no_display(panel, reading):  # noqa: F811
    _scan, parameters, before = reading
    display = parameters.outputSegmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.77)
    display.SetVisibility3D(True)
    _composite().SetForegroundOpacity(0.25)
    applied(panel)
    parameters.threshold = 0.4  # any other parameter
    assert (display.GetOpacity2DFill(), display.GetVisibility3D()) == (pytest.approx(0.77), 1)
    assert _composite().GetForegroundOpacity() == 0.25
    assert panel.ui.fadeSlider.value == 0.25
    assert _views() == before


def test_views_of_another_patient_are_left_alone(panel, reading):  # noqa: F811
    _scan, _parameters, _before = reading
    other = phantoms.node("Doe_Jane_T2w")
    slicer.util.setSliceViewerLayers(background=other, foreground=None)
    applied(panel)
    assert {c.GetBackgroundVolumeID() for c in SliceViews.composites()} == {other.GetID()}
    assert not any(c.GetForegroundVolumeID() for c in SliceViews.composites())
    panel.ui.showResultButton.click()
    assert _composite().GetForegroundVolumeID() == panel.logic.getParameterNode().outputVolume.GetID()


def test_the_overlay_widgets_follow_the_display_node(panel, reading):  # noqa: F811
    _scan, parameters, _before = reading
    ui, display = panel.ui, parameters.outputSegmentation.GetDisplayNode()
    assert (ui.opacitySlider.value, ui.outlineCheckBox.checked, ui.show3DButton.checked) == (0.3, True, False)
    display.SetOpacity2DFill(0.6)
    display.SetVisibility2DOutline(False)
    assert (ui.opacitySlider.value, ui.outlineCheckBox.checked) == (0.6, False)
    ui.opacitySlider.value = 0.1
    assert display.GetOpacity2DFill() == pytest.approx(0.1)


def test_side_by_side_shows_scan_and_result_at_the_same_place(panel, reading):  # noqa: F811
    scan, parameters, _before = reading
    selector = panel.ui.layoutSelector
    index = list(SliceViews.ARRANGEMENTS).index(SliceViews.SIDE_BY_SIDE)
    selector.currentIndex = index
    selector.activated.emit(index)
    for name, (what, orientation) in SliceViews.SIDE_BY_SIDE_VIEWS.items():
        node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
        assert node.IsMappedInLayout() and node.GetOrientation() == orientation
        assert node.GetLayoutLabel() == what
        shown = scan if what == SliceViews.SCAN else parameters.outputVolume
        assert _composite(name).GetBackgroundVolumeID() == shown.GetID()
        assert _composite(name).GetLinkedControl()
        assert node.GetFieldOfView()[0] == pytest.approx(20.0)
    axial = slicer.mrmlScene.GetSingletonNode("SegSRGANInputAxial", "vtkMRMLSliceNode")
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    assert axial.GetSliceOffset() == pytest.approx(red.GetSliceOffset())
    selector.activated.emit(0)  # "As it is" changes nothing
    assert axial.IsMappedInLayout()


def test_without_a_main_window_nothing_breaks(panel, reading, monkeypatch):  # noqa: F811
    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda self: None)
    slicer.util.setSliceViewerLayers(background=None, foreground=None)
    applied(panel)
    panel.ui.layoutSelector.activated.emit(2)
    assert "Done" in panel.ui.statusLabel.text


def test_fit_to_brain_is_a_button(panel, reading):  # noqa: F811
    scan, parameters, before = reading
    panel.ui.fitButton.click()
    assert _views() != before and _views()["layout"] == before["layout"]
    inside = np.argwhere(slicer.util.arrayFromVolume(scan) == phantoms.CORTEX_VALUE)
    import vtk

    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    points = np.array([matrix.MultiplyPoint((*map(float, p[::-1]), 1.0))[:3] for p in inside])
    for name in ("Red", "Yellow", "Green"):
        node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
        toSlice = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()))
        seen = points @ toSlice[:2, :3].T + toSlice[:2, 3]
        half = np.array(node.GetFieldOfView()[:2]) / 2
        assert (np.abs(seen) <= half).all(), name  # all of it is in the picture
        assert (np.abs(seen).max(axis=0) / half).max() > 0.6, name  # and it fills it


def test_flicker_switches_and_stops_where_the_slider_is(panel, reading):  # noqa: F811
    panel.ui.fadeSlider.value = 0.5
    panel.qualityTab.compare._timer.setInterval(20)
    panel.ui.flickerButton.checked = True
    seen = set()
    waitFor(lambda: seen.add(_composite().GetForegroundOpacity()) or {0.0, 1.0} <= seen)
    panel.ui.flickerButton.checked = False
    assert _composite().GetForegroundOpacity() == 0.5


def _drawn(view) -> np.ndarray:
    view.logic.UpdatePipeline()
    return view.pixels().astype(int)


def test_swipe_shows_the_scan_on_the_left_and_the_result_on_the_right(panel, reading, sliceViews):  # noqa: F811
    """Pixel by pixel, in the real views: the curtain is where the slider is, also after the view was resized."""
    scan, parameters, _before = reading
    parameters.outputSegmentation.GetDisplayNode().SetVisibility(False)
    scan.GetDisplayNode().SetInterpolate(False)
    view = sliceViews["Red"].fit()
    panel.ui.fadeSlider.value = 0.0
    onlyScan = _drawn(view)
    panel.ui.fadeSlider.value = 1.0
    onlyResult = _drawn(view)
    width = onlyScan.shape[1]
    assert np.abs(onlyScan - onlyResult)[:, : width // 2].any() and np.abs(onlyScan - onlyResult)[:, width // 2 :].any()
    panel.ui.swipeButton.click()
    assert panel.ui.fadeSlider.value == 0.5
    for value in (0.5, 0.25, 1.0, 0.0):
        panel.ui.fadeSlider.value = value
        curtain, pixels = round((1 - value) * width), _drawn(view)
        assert np.array_equal(pixels[:, :curtain], onlyScan[:, :curtain]), value
        assert np.array_equal(pixels[:, curtain:], onlyResult[:, curtain:]), value
    panel.ui.fadeSlider.value = 0.25
    view.logic.ResizeSliceNode(200, 320)
    stencil = view.logic.GetBlend().GetStencil()
    assert stencil.GetExtent()[1] == 199 and not stencil.IsInside(149, 5, 0) and stencil.IsInside(150, 5, 0)
    view.logic.ResizeSliceNode(*view.window.GetSize())
    panel.ui.swipeButton.click()
    assert view.logic.GetBlend().GetStencil() is None
    panel.ui.fadeSlider.value = 1.0
    assert np.array_equal(_drawn(view), onlyResult)


def test_swipe_and_flicker_exclude_each_other_and_end_with_the_result(panel, reading):  # noqa: F811
    ui = panel.ui
    ui.swipeButton.click()
    ui.flickerButton.click()
    assert ui.flickerButton.checked and not ui.swipeButton.checked
    ui.swipeButton.click()
    assert ui.swipeButton.checked and not ui.flickerButton.checked
    panel.logic.getParameterNode().inputVolume = phantoms.node("Doe_Jane_T2w")
    assert not ui.swipeButton.checked
    logics = slicer.app.applicationLogic().GetSliceLogics()
    assert not any(logics.GetItemAsObject(k).GetBlend().GetStencil() for k in range(logics.GetNumberOfItems()))


def test_leaving_the_module_ends_the_flicker(panel, reading):  # noqa: F811
    panel.ui.flickerButton.checked = True
    panel.exit()
    assert not panel.ui.flickerButton.checked and not panel.qualityTab.compare._timer.isActive()


def test_loading_a_scene_does_not_rearrange_the_views(panel, reading, tmp_path):  # noqa: F811
    _scan, _parameters, before = reading
    assert slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    assert "T2w enhanced" in panel.ui.qualityLabel.text
    assert _views() == before
