"""Layers and layouts of the slice views: scan, result, map of disagreement.

The views are the reader's. Nothing here runs by itself but `offer`; zoom and slice change only in `fit` and `jump`, the
layout only in `arrange`. Everything goes through MRML nodes; only the arrangement on the screen needs a main window.
"""

from __future__ import annotations

import slicer

AS_IT_IS, FOUR_UP, SIDE_BY_SIDE, IN_A_ROW = ARRANGEMENTS = (
    "As it is",
    "Four views with 3D",
    "Side by side",
    "Three slices in a row",
)
_SIDE_BY_SIDE_ID, _ROW_ID = 2019, 2020  # numbers of our own; Slicer's layouts are below 1000
_SLICES = ("Red", "Yellow", "Green")
SCAN, RESULT = "scan", "result"
# view name -> (what it shows, orientation); coronal and axial, because thick slices show in one of them
SIDE_BY_SIDE_VIEWS = {
    "SegSRGANInputAxial": (SCAN, "Axial"),
    "SegSRGANResultAxial": (RESULT, "Axial"),
    "SegSRGANInputCoronal": (SCAN, "Coronal"),
    "SegSRGANResultCoronal": (RESULT, "Coronal"),
}
_MARGIN = 1.15  # of the field of view around the brain


def offer(scan, result) -> None:
    """A new result goes over its scan where a reader looks at that scan, and into views that show nothing."""
    for composite in composites():
        shown = composite.GetBackgroundVolumeID()
        if shown in (None, "") or slicer.mrmlScene.GetNodeByID(shown) is None:
            _setPair(composite, scan, result)
            _fitView(composite.GetLayoutName())
        elif shown in (_id(scan), _id(result)) and not composite.GetForegroundVolumeID():
            _setPair(composite, scan, result)


def showPair(scan, result) -> None:
    """Scan below, result above, in every view; in those of the side-by-side layout the one or the other."""
    for composite in composites():
        _setPair(composite, scan, result)


def arrange(arrangement: str, scan, result) -> None:
    """Set the layout; views that come with it show the place that the others show."""
    manager = slicer.app.layoutManager()
    if manager is None or arrangement == AS_IT_IS:
        return
    guide = next((node for node in _sliceNodes() if node.IsMappedInLayout()), None)
    if arrangement == FOUR_UP:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    else:
        isPair = arrangement == SIDE_BY_SIDE
        number, description = (_SIDE_BY_SIDE_ID, sideBySideLayout()) if isPair else (_ROW_ID, rowLayout())
        node = manager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(number):
            node.AddLayoutDescription(number, description)
        manager.setLayout(number)
    for composite in composites():
        if composite.GetLayoutName() in SIDE_BY_SIDE_VIEWS:
            if guide and not composite.GetBackgroundVolumeID():
                _follow(composite.GetLayoutName(), guide)
            composite.SetLinkedControl(True)
            _setPair(composite, scan, result)


def fade(value: float, result) -> None:
    """0 shows the scan, 1 the result, in the views that hold both."""
    for composite in composites():
        if composite.GetForegroundVolumeID() == _id(result):
            composite.SetForegroundOpacity(value)


def fadeOf(result) -> float | None:
    """Where the views are between scan and result; None when none shows the result over something."""
    shown = [c.GetForegroundOpacity() for c in composites() if c.GetForegroundVolumeID() == _id(result)]
    return shown[0] if shown else None


class MapLayer:
    """The map of disagreement over the result, and the way back to what was shown before."""

    def __init__(self) -> None:
        self._before: dict[str, tuple] = {}

    def show(self, result, mapVolume) -> None:
        for composite in composites():
            what, _orientation = SIDE_BY_SIDE_VIEWS.get(composite.GetLayoutName(), (RESULT, ""))
            if what == RESULT:
                background, foreground = composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()
                self._before[composite.GetID()] = background, foreground, composite.GetForegroundOpacity()
                _setLayers(composite, result, mapVolume, 1.0)

    def hide(self, mapVolume) -> None:
        """Put back what was there, in the views that still show the map."""
        for nodeId, (background, foreground, opacity) in self._before.items():
            composite = slicer.mrmlScene.GetNodeByID(nodeId)
            if composite and composite.GetForegroundVolumeID() == _id(mapVolume):
                scene = slicer.mrmlScene
                _setLayers(composite, scene.GetNodeByID(background), scene.GetNodeByID(foreground or ""), opacity)
        self._before.clear()


def jump(ras: tuple[float, float, float]) -> None:
    """Centre every slice view on a point (world RAS, mm)."""
    for node in _sliceNodes():
        node.JumpSliceByCentering(*ras)


def fit(bounds: tuple[float, ...]) -> None:
    """Zoom and centre every slice view on a box (world RAS: x from, to, y from, to, z from, to)."""
    import numpy as np

    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    for node in _sliceNodes():
        node.JumpSliceByCentering(*((low + high) / 2))
        axes = np.abs(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, :2])
        needed = axes.T @ (high - low) * _MARGIN  # mm, along the view's two axes
        width, height, depth = node.GetFieldOfView()
        scale = max(needed[0] / width, needed[1] / height)
        node.SetFieldOfView(width * scale, height * scale, depth)
        node.UpdateMatrices()


def composites() -> list:
    """The layers of every slice view."""
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _sliceNodes() -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def _setPair(composite, scan, result) -> None:
    what, _orientation = SIDE_BY_SIDE_VIEWS.get(composite.GetLayoutName(), ("", ""))
    if what:
        _setLayers(composite, scan if what == SCAN else result, None, 0.0)
    else:
        _setLayers(composite, scan or result, result if scan else None, 1.0)


def _setLayers(composite, background, foreground, opacity: float) -> None:
    composite.SetBackgroundVolumeID(_id(background))
    composite.SetForegroundVolumeID(_id(foreground))
    composite.SetForegroundOpacity(opacity if foreground else 0.0)


def _fitView(name: str) -> None:
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(name) if manager else None
    if widget:
        widget.sliceLogic().FitSliceToBackground()


def _follow(name: str, guide) -> None:
    """A new view shows the centre of another one, equally zoomed."""
    node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
    toRas = guide.GetSliceToRAS()
    node.JumpSliceByCentering(*(toRas.GetElement(axis, 3) for axis in range(3)))
    width, height, depth = node.GetFieldOfView()
    scale = guide.GetFieldOfView()[0] / width
    node.SetFieldOfView(width * scale, height * scale, depth)


def _id(node) -> str | None:
    return node.GetID() if node else None


def rowLayout() -> str:
    """Slicer's three slice views in a row."""
    items = "".join(f'<item><view class="vtkMRMLSliceNode" singletontag="{name}"/></item>' for name in _SLICES)
    return f'<layout type="horizontal" split="true">{items}</layout>'


def sideBySideLayout() -> str:
    """Two rows, axial and coronal; scan on the left, result on the right."""
    names = list(SIDE_BY_SIDE_VIEWS)
    rows = "".join(f"<item>{_row(names[first : first + 2])}</item>" for first in (0, 2))
    return f'<layout type="vertical" split="true">{rows}</layout>'


def _row(names: list[str]) -> str:
    return f'<layout type="horizontal" split="true">{"".join(map(_item, names))}</layout>'


def _item(name: str) -> str:
    what, orientation = SIDE_BY_SIDE_VIEWS[name]
    color = "#F34A33" if what == SCAN else "#6EB04B"
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{what}</property>'
        f'<property name="viewcolor" action="default">{color}</property></view></item>'
    )
