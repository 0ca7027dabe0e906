"""The map of where the result, acquired again, differs from the scan: a volume node, its colours, its worst places."""

from __future__ import annotations

from typing import NamedTuple

import slicer

from .VolumeNodes import setVolumeFromImage, toWorld

ROLE = "SegSRGAN.consistency"  # result -> its map
SHOWN_FROM, SHOWN_TO = 4.0, 12.0  # robust standard deviations; below the first the map is clear
_COLORS_NAME = "SegSRGAN disagreement"
_STEPS = 181  # odd: one colour for zero
_APART = 10.0  # mm between two places of the list
_TOO_BRIGHT, _TOO_DARK = (0.84, 0.10, 0.11), (0.13, 0.40, 0.75)  # told apart by colour-blind eyes too


class Place(NamedTuple):
    """ras: world coordinates, mm. deviations: robust standard deviations, positive where the result is too bright."""

    ras: tuple[float, float, float]
    deviations: float


def store(result, image):
    """Put the map into the node that belongs to the result, made when it is missing; it is saved with the scene."""
    node = mapOf(result)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{result.GetName()} consistency")
        result.SetNodeReferenceID(ROLE, node.GetID())
    setVolumeFromImage(node, image)
    return node


def remove(result) -> None:
    """A run that made no map leaves none of an earlier run behind."""
    if node := mapOf(result):
        slicer.mrmlScene.RemoveNode(node)


def mapOf(result):
    """The map of a result, or None."""
    return result.GetNodeReference(ROLE) if result else None


def dress(node) -> None:
    """Diverging colours, clear below `SHOWN_FROM`, with a legend in the views that show the map."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_colors().GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(-SHOWN_TO, SHOWN_TO)
    display.SetInterpolate(False)  # colours between two colours would mean nothing
    colors = slicer.modules.colors.logic()
    legend = colors.GetColorLegendDisplayNode(node)
    if legend is None:
        legend = colors.AddDefaultColorLegendDisplayNode(node)
        legend.SetTitleText("Result - scan\n(standard deviations)")
        legend.SetLabelFormat("%.0f")
    legend.SetVisibility(True)


def worstPlaces(node, count: int = 5) -> list[Place]:
    """The places of largest disagreement, at least `_APART` mm from each other, worst first.

    Only places that the map shows in colour are listed.
    """
    import numpy as np

    if node is None or node.GetImageData() is None:
        return []
    values = slicer.util.arrayFromVolume(node)
    candidates = np.argwhere(np.abs(values) >= SHOWN_FROM)
    if not len(candidates):
        return []
    found = values[tuple(candidates.T)]
    order = np.argsort(-np.abs(found), kind="stable")
    points = _world(node, candidates[order][:, ::-1])
    found, places = found[order], []
    isFree = np.ones(len(points), bool)
    while len(places) < count and isFree.any():
        index = int(np.argmax(isFree))
        x, y, z = map(float, points[index])
        places.append(Place((x, y, z), float(found[index])))
        isFree &= np.linalg.norm(points - points[index], axis=1) >= _APART
    return places


def _world(node, ijk):
    """World RAS (n, 3) of voxels (n, 3), through the node's transform."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    toRas = slicer.util.arrayFromVTKMatrix(matrix)
    return toWorld(node, ijk @ toRas[:3, :3].T + toRas[:3, 3])


def _colors():
    """The diverging table; one of an earlier session is brought up to date."""
    node = slicer.mrmlScene.GetFirstNodeByName(_COLORS_NAME)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", _COLORS_NAME)
        node.SetTypeToUser()
        node.SetHideFromEditors(True)
    node.SetNumberOfColors(_STEPS)
    for index in range(_STEPS):
        deviations = (2 * index / (_STEPS - 1) - 1) * SHOWN_TO
        strength = max(0.0, (abs(deviations) - SHOWN_FROM) / (SHOWN_TO - SHOWN_FROM))
        color = _TOO_BRIGHT if deviations > 0 else _TOO_DARK
        opacity = 0.35 + 0.5 * strength if abs(deviations) >= SHOWN_FROM else 0.0
        node.SetColor(index, f"{deviations:+.1f}", *color, opacity)
    return node
