"""Layouts and layers that put input, result and cortex side by side or one over the other.

Everything goes through MRML nodes, so it works without a main window too; only the arrangement on the screen needs one.
"""

from __future__ import annotations

import slicer

from ..ParameterNode import FOUR_UP, SIDE_BY_SIDE

_SIDE_BY_SIDE_ID, _FADE_ID = 2019, 2020  # numbers of our own; Slicer's layouts are below 1000
_SLICES = ("Red", "Yellow", "Green")
# view name -> (what it shows, orientation); coronal and axial, because thick slices show in one of them
SIDE_BY_SIDE_VIEWS = {
    "SegSRGANInputAxial": ("input", "Axial"),
    "SegSRGANResultAxial": ("result", "Axial"),
    "SegSRGANInputCoronal": ("input", "Coronal"),
    "SegSRGANResultCoronal": ("result", "Coronal"),
}


def arrange(comparison: str, inputVolume, resultVolume) -> None:
    """Set layout and layers for one of `ParameterNode.COMPARISONS`."""
    _setLayout(comparison)
    showVolumes(comparison, inputVolume, resultVolume)
    fit()


def showVolumes(comparison: str, inputVolume, resultVolume) -> None:
    """Set the layers alone."""
    if comparison == SIDE_BY_SIDE:
        shown = {
            name: (inputVolume if what == "input" else resultVolume) for name, (what, _) in SIDE_BY_SIDE_VIEWS.items()
        }
        for composite in composites():
            volume = shown.get(composite.GetLayoutName(), resultVolume)
            setLayers(composite, background=volume, foreground=None, opacity=0.0)
    else:
        for composite in composites():
            setLayers(composite, background=inputVolume, foreground=resultVolume, opacity=1.0)


def showMap(resultVolume, mapVolume) -> None:
    """A map half-transparent over the result, in every view but those that are the input's."""
    for composite in composites():
        what, _orientation = SIDE_BY_SIDE_VIEWS.get(composite.GetLayoutName(), ("result", ""))
        if what == "result":
            setLayers(composite, background=resultVolume, foreground=mapVolume, opacity=0.5)


def composites() -> list:
    """The layers of every slice view, linked so that all show the same place."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    for node in nodes:
        node.SetLinkedControl(True)
    return nodes


def setLayers(composite, background, foreground, opacity: float) -> None:
    composite.SetBackgroundVolumeID(background.GetID() if background else None)
    composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
    composite.SetForegroundOpacity(opacity if foreground else 0.0)


def fade(value: float) -> None:
    """0 shows the background, 1 the foreground, in every view that has both."""
    for composite in composites():
        if composite.GetForegroundVolumeID():
            composite.SetForegroundOpacity(value)


def show(volume) -> None:
    """The result in every view, at once after Apply."""
    for composite in composites():
        composite.SetBackgroundVolumeID(volume.GetID())
    fit()


def fit() -> None:
    slicer.app.applicationLogic().FitSliceToAll()


def _setLayout(comparison: str) -> None:
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    if comparison == FOUR_UP:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        return
    number, description = (
        (_SIDE_BY_SIDE_ID, sideBySideLayout()) if comparison == SIDE_BY_SIDE else (_FADE_ID, fadeLayout())
    )
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(number):
        node.AddLayoutDescription(number, description)
    manager.setLayout(number)


def fadeLayout() -> str:
    """Slicer's three slice views in a row."""
    items = "".join(f'<item><view class="vtkMRMLSliceNode" singletontag="{name}"/></item>' for name in _SLICES)
    return f'<layout type="horizontal" split="true">{items}</layout>'


def sideBySideLayout() -> str:
    """Two rows, axial and coronal; input on the left, result on the right."""
    names = list(SIDE_BY_SIDE_VIEWS)
    rows = "".join(f"<item>{_row(names[first : first + 2])}</item>" for first in (0, 2))
    return f'<layout type="vertical" split="true">{rows}</layout>'


def _row(names: list[str]) -> str:
    return f'<layout type="horizontal" split="true">{"".join(map(_item, names))}</layout>'


def _item(name: str) -> str:
    what, orientation = SIDE_BY_SIDE_VIEWS[name]
    label, color = ("In", "#F34A33") if what == "input" else ("Out", "#6EB04B")
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{color}</property></view></item>'
    )
