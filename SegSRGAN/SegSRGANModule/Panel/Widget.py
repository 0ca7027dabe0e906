"""The panel: loads the .ui, follows the parameter node, and hands each tab its widgets."""

from __future__ import annotations

import sys

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from ..Logic import SegSRGANLogic
from ..Models import Models
from ..Packages import Packages
from ..Scene import Brain, Cases, Ownership, SliceViews
from ..Services import Services
from ..Terms import Terms
from .BatchTab import BatchTab
from .EnhanceTab import EnhanceTab
from .QualityTab import QualityTab
from .Questions import Questions
from .TrainingTab import TrainingTab


class SegSRGANWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """services: what the tabs work with; Slicer's own by default."""

    def __init__(self, parent=None, services: Services | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.services = services or _slicerServices()
        self.logic = self.trainingTab = self._input = None
        self.tabs = []
        self._parameterNode = None
        self._guiTag = None
        self._follower = Ownership.Follower()

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SegSRGAN.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        services = self.services
        self.logic = SegSRGANLogic(services.models, services.packages)
        self.qualityTab = QualityTab(self.ui, services)
        self.enhanceTab = EnhanceTab(
            self.ui, self.logic, services, onResults=self.qualityTab.showResult, onModels=self._onModels
        )
        self.trainingTab = TrainingTab(self.ui, services, onNewModel=self.enhanceTab.importModel)
        self.batchTab = BatchTab(self.ui, self.logic, services, onCase=self._onCase)
        self.tabs = [self.enhanceTab, self.qualityTab, self.batchTab, self.trainingTab]
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneEndChange)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneEndChange)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onParametersModified)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Slicer or the module is about to close: no child process stays behind."""
        for tab in self.tabs:
            tab.close()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        """Another module is chosen: its views do not flicker."""
        self.qualityTab.compare.stop()

    def onReload(self) -> None:
        """Developer mode: reload the whole module and the library, not this file alone."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("SegSRGANModule", "SegSRGANLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Follow the scene's parameter node; a volume is offered as the input."""
        self.setParameterNode(self.logic.getParameterNode())
        self._offer()

    def setParameterNode(self, parameterNode) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._parameterNode = parameterNode
        self._follower.adopt(parameterNode)
        if parameterNode:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._observeInput()
        for tab in self.tabs:
            tab.setParameters(parameterNode)

    def _observeInput(self) -> None:
        """Its voxels, geometry and transform may change while the panel is open."""
        node = self._parameterNode.inputVolume if self._parameterNode else None
        if node is self._input:
            return
        events = (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        )
        for event in events:
            if self._input:
                self.removeObserver(self._input, event, self._onInputModified)
            if node:
                self.addObserver(node, event, self._onInputModified)
        self._input = node

    def _onInputModified(self, caller=None, event=None) -> None:
        if not slicer.mrmlScene.IsClosing() and not slicer.mrmlScene.IsImporting():
            self.enhanceTab.update()
            self.qualityTab.update()

    def _offer(self) -> None:
        """Choose a volume where none is chosen."""
        scene, parameters = slicer.mrmlScene, self._parameterNode
        isSettled = not scene.IsImporting() and not scene.IsClosing()
        if parameters and isSettled and not parameters.inputVolume and (offered := _offeredVolume()):
            parameters.inputVolume = offered

    def _onNodeAdded(self, caller, event) -> None:
        """A volume that was loaded just now is offered, once its loader has filled it."""
        if not slicer.mrmlScene.IsImporting():
            qt.QTimer.singleShot(0, self._offer)

    def _onParametersModified(self, caller=None, event=None) -> None:
        if not slicer.mrmlScene.IsClosing() and self._parameterNode:
            self._follower.update(self._parameterNode)
            self._observeInput()
            for tab in self.tabs:
                tab.update()

    def _onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def _onSceneEndChange(self, caller, event) -> None:
        if getattr(self.parent, "isEntered", True):
            self.initializeParameterNode()

    def _onCase(self, case) -> str:
        """A reader opens a case of the batch: it becomes the input, and the views show it; returns what to say."""
        scan = Cases.load(case.source, case.record)
        self._parameterNode.inputVolume = scan
        self._onParametersModified()
        result = self._parameterNode.outputVolume
        SliceViews.showPair(scan, result)
        SliceViews.fit(Brain.bounds(self._parameterNode.brainMask, self._parameterNode.outputSegmentation, scan))
        self.ui.tabs.currentIndex = self.ui.tabs.indexOf(self.ui.qualityTab)
        if not Cases.isOutdated(scan, case.record):
            return ""
        text = _("{name} was in the scene already, with the result of another run; delete that to load this one.")
        return text.format(name=scan.GetName())

    def _onModels(self) -> None:
        """The list of models was read again; the first time, the Training tab is still to come."""
        if self.trainingTab:
            self.trainingTab.refreshModels()


def _slicerServices() -> Services:
    questions = Questions()
    return Services(Models(), Packages(), Terms(questions), questions)


def _offeredVolume():
    """The volume in the slice views, else the first of the scene; no label map, and no result."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = [slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "") for composite in composites]
    return next(filter(Ownership.isOfferable, [*shown, *Ownership.scans()]), None)
