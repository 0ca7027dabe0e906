"""What the slice views draw: every pixel of the cortex overlay is predicted from the geometry alone."""

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, logic, models, panel, slicer, sliceViews, standIn  # noqa: F401

import phantoms  # isort: skip
import vtk  # isort: skip
from SegSRGANModule.Scene import SliceViews  # isort: skip
from SegSRGANModule.Settings import EnhanceSettings  # isort: skip

SPACING = 0.8
THRESHOLD = 0.75  # of the stand-in: only the bright shell and the bead


def _truthAt(source, ras: np.ndarray, mirrored: bool) -> np.ndarray:
    """Whether the phantom is cortex at each RAS point (3, n), looked up in the formula's own voxels."""
    matrix = vtk.vtkMatrix4x4()
    source.GetRASToIJKMatrix(matrix)
    i, j, k = np.rint(slicer.util.arrayFromVTKMatrix(matrix)[:3] @ np.vstack([ras, np.ones(ras.shape[1])])).astype(int)
    truth = phantoms.ellipsoids() == phantoms.CORTEX_VALUE
    if mirrored:
        truth = truth[:, :, ::-1]
    depth, height, width = truth.shape
    inside = (i >= 0) & (j >= 0) & (k >= 0) & (i < width) & (j < height) & (k < depth)
    found = np.zeros(ras.shape[1], bool)
    found[inside] = truth[k[inside], j[inside], i[inside]]
    return found


def _pixelsInRas(view) -> np.ndarray:
    """RAS of every pixel's centre, first row on top: (3, rows * columns)."""
    width, height = view.window.GetSize()
    x, y = np.meshgrid(np.arange(width), np.arange(height)[::-1])
    points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size), np.ones(x.size)])
    return (slicer.util.arrayFromVTKMatrix(view.node.GetXYToRAS()) @ points)[:3]


def _dice(a, b) -> float:
    return 2 * (a & b).sum() / max(1, a.sum() + b.sum())


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), phantoms.OBLIQUE], ids=["straight", "oblique"])
def test_overlay_is_where_the_cortex_is(logic, standIn, sliceViews, angles):  # noqa: F811
    source = phantoms.node(angles=angles)
    nodes = logic.enhance(source, EnhanceSettings(spacing=SPACING, threshold=THRESHOLD))
    display = nodes.segmentation.GetDisplayNode()
    display.SetOpacity2DFill(1.0)
    display.SetVisibility2DOutline(False)
    told = []
    for name, view in sliceViews.items():
        picture = view.show(nodes.volume).pixels().astype(int)
        drawn = picture[..., 0] - picture[..., 2] > 40  # the overlay is orange, the volume grey
        ras = _pixelsInRas(view)
        assert drawn.sum() > 500, name
        assert _dice(drawn.ravel(), _truthAt(source, ras, mirrored=False)) > 0.93, name
        told.append(_dice(drawn.ravel(), _truthAt(source, ras, mirrored=True)) < 0.85)
    assert sum(told) >= 2  # one view may look along the mirrored axis


def test_enhanced_volume_is_drawn_where_the_input_was(logic, standIn, sliceViews):  # noqa: F811
    source = phantoms.node()
    nodes = logic.enhance(source, EnhanceSettings(spacing=SPACING))
    nodes.segmentation.GetDisplayNode().SetVisibility(False)
    for view in sliceViews.values():
        before = view.show(source).pixels()[..., 0].astype(float)
        view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(nodes.volume.GetID())
        view.logic.UpdatePipeline()
        after = view.pixels()[..., 0].astype(float)
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95
        assert np.corrcoef(before.ravel(), after[:, ::-1].ravel())[0, 1] < 0.9


def test_fade_goes_from_input_to_result(panel, standIn, sliceViews):  # noqa: F811
    source = phantoms.node()
    grey = slicer.util.arrayFromVolume(source)
    grey[:] = 50  # input grey; the result is painted bright below
    grey[0, 0, 0] = 49  # a scan that is the same everywhere is refused
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing = SPACING
    applied(panel)
    parameters.outputSegmentation.GetDisplayNode().SetVisibility(False)
    slicer.util.arrayFromVolume(parameters.outputVolume)[:] = 200
    slicer.util.arrayFromVolumeModified(parameters.outputVolume)
    view = sliceViews["Red"]
    SliceViews.showPair(source, parameters.outputVolume)
    brightness = []
    for fade in (0.0, 0.5, 1.0):
        panel.ui.fadeSlider.value = fade
        middle = view.fit().pixels()[150:170, 150:170, 0]
        brightness.append(float(middle.mean()))
    assert brightness[0] + 30 < brightness[1] < brightness[2] - 30


def test_opacity_and_outline_change_the_picture(panel, standIn, sliceViews):  # noqa: F811
    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing, parameters.threshold = SPACING, THRESHOLD
    applied(panel)
    view = sliceViews["Red"]

    def orange() -> int:
        picture = view.fit().pixels().astype(int)
        return int((picture[..., 0] - picture[..., 2] > 40).sum())

    ui = panel.ui
    ui.opacitySlider.value, ui.outlineCheckBox.checked = 1.0, False
    filled = orange()
    ui.opacitySlider.value, ui.outlineCheckBox.checked = 0.0, True
    outlined = orange()
    ui.outlineCheckBox.checked = False
    assert filled > outlined > 0 == orange()


def test_surface_is_seen_in_3d(panel, standIn):  # noqa: F811
    import views

    phantoms.node()
    panel.enter()
    parameters = panel.logic.getParameterNode()
    parameters.spacing, parameters.threshold = SPACING, THRESHOLD
    applied(panel)
    view = views.ThreeDView()
    assert not panel.ui.show3DButton.checked
    empty = view.look().pixels()
    panel.ui.show3DButton.click()
    shown = view.look().pixels()
    assert (np.abs(shown.astype(int) - empty).max(axis=2) > 30).mean() > 0.02
