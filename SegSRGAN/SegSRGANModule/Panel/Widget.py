"""The panel: loads the .ui, follows the parameter node, and hands each tab its widgets."""

from __future__ import annotations

import sys

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from ..Logic import SegSRGANLogic
from ..Scene import Ownership
from .EnhanceTab import EnhanceTab
from .QualityTab import QualityTab
from .Questions import Questions
from .TrainingTab import TrainingTab


class SegSRGANWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
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
        self.logic, self.questions = SegSRGANLogic(), Questions()
        self.enhanceTab = EnhanceTab(self.ui, self.logic, self.questions)
        self.qualityTab = QualityTab(self.ui)
        self.trainingTab = TrainingTab(self.ui, onNewModel=self.enhanceTab.importModel)
        self.enhanceTab.onResults = self._onResults
        self.enhanceTab.onModels = self.trainingTab.refreshModels
        self.tabs = [self.enhanceTab, self.qualityTab, self.trainingTab]
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneEndChange)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneEndChange)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onParametersModified)
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
        self.qualityTab.close()

    def onReload(self) -> None:
        """Developer mode: reload the whole module and the library, not this file alone."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("SegSRGANModule", "SegSRGANLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Follow the scene's parameter node; a volume is offered as the input."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume and (offered := _offeredVolume()):
            self._parameterNode.inputVolume = offered

    def setParameterNode(self, parameterNode) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._parameterNode = parameterNode
        self._follower.adopt(parameterNode)
        if parameterNode:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        for tab in self.tabs:
            tab.setParameters(parameterNode)

    def _onParametersModified(self, caller=None, event=None) -> None:
        if not slicer.mrmlScene.IsClosing() and self._parameterNode:
            self._follower.update(self._parameterNode)
            for tab in self.tabs:
                tab.update()

    def _onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def _onSceneEndChange(self, caller, event) -> None:
        if getattr(self.parent, "isEntered", True):
            self.initializeParameterNode()

    def _onResults(self) -> None:
        """A run has ended well: the quality control tab shows it."""
        self.qualityTab.showResult()


def _offeredVolume():
    """The volume in the slice views, else the first of the scene; no label map, and no result."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = [slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "") for composite in composites]
    return next(filter(Ownership.isOfferable, [*shown, *Ownership.scans()]), None)
