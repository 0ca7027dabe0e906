"""Stand-ins of Slicer's own widgets, over real MRML nodes."""

import qt
import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    signalSignatures = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


def _option(name: str, kind, default):
    """A plain property that refreshes the list of nodes."""

    def read(self):
        return self._options.get(name, default)

    def write(self, value):
        self._options[name] = list(value) if kind == "QStringList" else value
        self._refresh()

    return Property(kind, read, write)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAddedByUser = Signal(object)
    signalSignatures = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox()
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._combo.setMinimumContentsLength(12)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._scene, self._tags, self._listed, self._ids, self._current, self._options = None, [], [], [], "", {}
        self._combo.activated.connect(self._onActivated)

    nodeTypes = _option("nodeTypes", "QStringList", [])
    noneEnabled = _option("noneEnabled", bool, False)
    addEnabled = _option("addEnabled", bool, True)
    removeEnabled = _option("removeEnabled", bool, True)
    editEnabled = _option("editEnabled", bool, False)
    renameEnabled = _option("renameEnabled", bool, False)
    showHidden = _option("showHidden", bool, False)
    showChildNodeTypes = _option("showChildNodeTypes", bool, True)
    selectNodeUponCreation = _option("selectNodeUponCreation", bool, True)
    noneDisplay = _option("noneDisplay", str, "None")
    baseName = _option("baseName", str, "")

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self.release()
        self._scene = scene
        if scene:
            self._observe(scene)
        self._refresh()

    def release(self):
        """Look at the scene no more, as after the destructor, which comes late in Python."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _observe(self, scene):
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(caller, event, node):
            if node.GetID() == self._current:
                self.setCurrentNode(None)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def changed(caller, event, node):
            if self._fits(node):
                self._refresh()

        events = slicer.vtkMRMLScene
        for event in (events.NodeAddedEvent, events.NodeRemovedEvent):
            self._tags.append(scene.AddObserver(event, changed))
        for event in (events.EndCloseEvent, events.EndImportEvent):
            self._tags.append(scene.AddObserver(event, lambda caller, event: self._refresh()))
        self._tags.append(scene.AddObserver(events.NodeAboutToBeRemovedEvent, removed))

    def _nodes(self) -> list:
        scene = self._scene
        if not scene or scene.IsClosing():
            return []
        hidden, fits, nodes = self.showHidden, {}, []  # read once: attributes of widgets are slow
        for node in scene.GetNodes():
            kind = node.GetClassName()
            if kind not in fits:  # by class: most nodes of a scene are of few
                fits[kind] = self._fits(node)
            if fits[kind] and (hidden or not node.GetHideFromEditors()):
                nodes.append(node)
        return nodes

    def _fits(self, node) -> bool:
        """Whether nodes of this class can be listed."""
        kind, children = node.GetClassName(), self.showChildNodeTypes
        return any(kind == wanted or (children and node.IsA(wanted)) for wanted in self.nodeTypes)

    def _refresh(self):
        nodes = self._nodes()
        first = [("", self.noneDisplay)] if self.noneEnabled else []
        listed = first + [(node.GetID(), node.GetName()) for node in nodes]
        if listed != self._listed:
            self._listed, self._ids = listed, [node for node, _name in listed]
            self._combo.blockSignals(True)
            self._combo.clear()
            self._combo.addItems([name for _node, name in listed])
            self._combo.blockSignals(False)
        if self._current in self._ids:
            self._combo.setCurrentIndex(self._ids.index(self._current))
        else:
            self._select(self._ids[0] if self._ids else "")

    def _select(self, nodeId: str):
        changed = nodeId != self._current
        self._current = nodeId
        self._combo.setCurrentIndex(self._ids.index(nodeId) if nodeId in self._ids else -1)
        if changed:
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeId)

    def _onActivated(self, index):
        self._select(self._ids[index])
        self.nodeActivated.emit(self.currentNode())

    def nodeCount(self):
        return len(self._nodes())

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node):
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node)
        self._select(node.GetID() if node and node.GetID() in self._ids else "")

    currentNodeID = Property(str, lambda self: self._current, setCurrentNode)

    def addNode(self, className=None):
        """What the menu entry "Create new ..." does."""
        name = self._scene.GenerateUniqueName(self.baseName or "Node")
        node = self._scene.AddNewNodeByClass(className or self.nodeTypes[0], name)
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node


STAND_INS = (qMRMLWidget, qMRMLNodeComboBox)
qt.registerStandIns(*STAND_INS)
for _class in STAND_INS:
    setattr(slicer, _class.__name__, _class)
