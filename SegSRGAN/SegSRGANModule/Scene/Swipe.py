"""A curtain between scan and result: scan on its left, result on its right, in every slice view that holds both.

Slice views blend their layers with a filter that takes a stencil; the curtain is a stencil that lets the foreground
through on one side only. Nothing of the scene is changed, so nothing of it is saved with a scene.
"""

from __future__ import annotations

import slicer
import vtk

from .SliceViews import composites


class Swipe:
    def __init__(self) -> None:
        self._sizes: dict[object, tuple[int, ...]] = {}  # slice node -> size of its view when the curtain was drawn
        self._tags: list[tuple] = []
        self._fraction, self._result = 1.0, None

    @property
    def isOn(self) -> bool:
        return bool(self._tags)

    def show(self, fraction: float, result) -> None:
        """Draw the curtain: `fraction` of each view's width, from its right side, shows the result."""
        if result is not self._result:
            self.off()
        self._fraction, self._result = fraction, result
        for composite in _withResult(result):
            logic = _logicOf(composite)
            if logic is None:
                continue
            composite.SetForegroundOpacity(1.0)
            if logic.GetSliceNode() not in self._sizes:
                tag = logic.GetSliceNode().AddObserver(vtk.vtkCommand.ModifiedEvent, self._onResized)
                self._tags.append((logic.GetSliceNode(), tag))
            self._draw(logic)

    def off(self) -> None:
        """Take the curtain away."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags, self._sizes, self._result = [], {}, None
        for logic in filter(None, map(_logicOf, composites())):
            _setStencil(logic, None)

    def _draw(self, logic) -> None:
        size = logic.GetSliceNode().GetDimensions()
        self._sizes[logic.GetSliceNode()] = size  # before the view is told to draw itself again
        _setStencil(logic, _rightPart(size, self._fraction))

    def _onResized(self, node, event) -> None:
        if self._sizes.get(node) != node.GetDimensions():
            self.show(self._fraction, self._result)


def _withResult(result) -> list:
    return [c for c in composites() if result and c.GetForegroundVolumeID() == result.GetID()]


def _logicOf(composite):
    """The slice logic of the view that a composite node belongs to; None without views."""
    logics = slicer.app.applicationLogic().GetSliceLogics()
    for index in range(logics.GetNumberOfItems() if logics else 0):
        logic = logics.GetItemAsObject(index)
        if logic.GetSliceCompositeNode() is composite:
            return logic
    return None


def _rightPart(size: tuple[int, ...], fraction: float):
    """A stencil of a picture of `size` pixels: its columns from the curtain to the right border."""
    columns, rows = size[0], size[1]
    stencil = vtk.vtkImageStencilData()
    stencil.SetExtent(0, columns - 1, 0, rows - 1, 0, 0)
    stencil.SetSpacing(1.0, 1.0, 1.0)
    stencil.AllocateExtents()
    first = round((1.0 - fraction) * columns)
    for row in range(rows if first < columns else 0):
        stencil.InsertNextExtent(first, columns - 1, row, 0)
    return stencil


def _setStencil(logic, stencil) -> None:
    if stencil is None and logic.GetBlend().GetStencil() is None:
        return
    logic.GetBlend().SetStencilData(stencil)
    logic.GetSliceNode().Modified()  # the view draws itself again
