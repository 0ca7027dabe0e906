"""`slicer.app.layoutManager()`: the real layout logic arranges the view nodes; the widgets around them are stood in.

Names are those of qMRMLLayoutManager (`recorded_names.json`). A slice "widget" holds its real slice logic and has a
size in pixels, so that fields of view and fitting can be tested without a window.
"""

import qt
import slicer
from PySide6.QtCore import Property, Signal

SIZE = (480, 480)  # pixels of a slice view

_logics: dict[str, "slicer.vtkMRMLSliceLogic"] = {}


def sliceLogic(name: str):
    """The one logic of the slice view `name`, attached to its node in the scene, which is made if it is missing."""
    node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
    logic = _logics.get(name)
    if logic is None:
        logic = _logics[name] = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        slicer.app.applicationLogic().GetSliceLogics().AddItem(logic)
        logic.SetMRMLScene(slicer.mrmlScene)
    if node is None:
        node = logic.AddSliceNode(name)
        logic.ResizeSliceNode(*SIZE)
    elif logic.GetSliceNode() is not node:
        logic.SetSliceNode(node)
        logic.ResizeSliceNode(*SIZE)
    return logic


class SliceWidget:
    """qMRMLSliceWidget: the parts that `slicer.util` and modules call."""

    def __init__(self, name):
        self._name = name

    def sliceLogic(self):
        return sliceLogic(self._name)

    def mrmlSliceNode(self):
        return self.sliceLogic().GetSliceNode()


class LayoutManager(qt.QObject):
    layoutChanged = Signal(int)
    signalSignatures = {"layoutChanged(int)": "layoutChanged"}

    def __init__(self, scene, applicationLogic):
        super().__init__()
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(scene)
        self._tags = [
            scene.AddObserver(event, lambda caller, event: self._update())
            for event in (scene.EndImportEvent, scene.EndCloseEvent)
        ]
        self._shown = None

    def start(self):
        """The layout that Slicer starts with."""
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def layoutLogic(self):
        return self._logic

    def setLayout(self, number):
        self._logic.GetLayoutNode().SetViewArrangement(number)
        self._update()

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)

    def sliceViewNames(self):
        return [node.GetLayoutName() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]

    def sliceWidget(self, name):
        return SliceWidget(name) if name in self.sliceViewNames() else None

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def _update(self):
        """Every view node of the layout has a logic and is mapped; the others are not."""
        views = self._logic.GetViewNodes()
        shown = [views.GetItemAsObject(index) for index in range(views.GetNumberOfItems())]
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.SetMappedInLayout(node in shown)
            sliceLogic(node.GetLayoutName())
        if self._shown != self.layout:
            self._shown = self.layout
            self.layoutChanged.emit(self.layout)
