"""Slice and 3D views drawn offscreen by the real MRML displayable managers, without Qt and without an X server."""

import layouts
import numpy as np
import slicer
import vtk
import vtkmodules.vtkInteractionStyle  # noqa: F401
import vtkmodules.vtkRenderingFreeType  # noqa: F401
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
from vtk.util.numpy_support import vtk_to_numpy

_SLICE_MANAGERS = [
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
]
_THREE_D_MANAGERS = [
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
]
_BACKGROUND = (0.75, 0.76, 0.91)  # Slicer's 3D background


class _View:
    """A render window with a group of displayable managers."""

    def __init__(self, size, factoryClass, managers):
        self.window, self.renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        factory = factoryClass.GetInstance()
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def pixels(self) -> np.ndarray:
        """What is drawn: (rows, columns, RGB) uint8, first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        values = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
        return values.reshape(height, width, -1)[::-1, :, :3].copy()


class SliceView(_View):
    """A slice view such as Red; `show` sets its layers."""

    def __init__(self, name="Red", orientation="Axial", size=(320, 320)):
        super().__init__(size, slicer.vtkMRMLSliceViewDisplayableManagerFactory, _SLICE_MANAGERS)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        # the slice image goes in first: the actors of the segmentation blend over what is already drawn
        self.mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        actor.SetMapper(self.mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)
        self.logic = layouts.sliceLogic(name)
        self.name, self.orientation, self.node = name, orientation, None
        self._attach()

    def show(self, background, foreground=None, opacity=0.5, offset=None, zoom=1.0):
        self._attach()
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        composite.SetForegroundOpacity(opacity if foreground else 0)
        return self.fit(offset, zoom)

    def fit(self, offset=None, zoom=1.0):
        """Fit to the background volume that the scene's composite node names."""
        self._attach()
        self.logic.ResizeSliceNode(*self.window.GetSize())
        self.logic.FitSliceToBackground()
        if offset is not None:
            self.logic.SetSliceOffset(offset)
        width, height, depth = self.node.GetFieldOfView()
        self.node.SetFieldOfView(width / zoom, height / zoom, depth)
        self.node.UpdateMatrices()
        self.logic.UpdatePipeline()
        self.mapper.SetInputConnection(self.logic.GetImageDataConnection())
        return self

    def _attach(self):
        """The slice node stays when the scene is closed, as a singleton, but may be replaced by an import."""
        node = layouts.sliceLogic(self.name).GetSliceNode()
        if node is not self.node:
            self.node = node
            self.group.SetMRMLDisplayableNode(self.node)
        self.node.SetOrientation(self.orientation)
        self.node.SetMappedInLayout(1)


class ThreeDView(_View):
    def __init__(self, name="1", size=(320, 320)):
        super().__init__(size, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _THREE_D_MANAGERS)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        slicer.app.applicationLogic().GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        made = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLViewNode")
        self.node = made or self.logic.AddViewNode(name)
        self.node.SetBoxVisible(0)
        self.node.SetAxisLabelsVisible(0)
        self.node.SetMappedInLayout(1)
        self.node.SetBackgroundColor(*_BACKGROUND)
        self.node.SetBackgroundColor2(*_BACKGROUND)
        self.group.SetMRMLDisplayableNode(self.node)

    def look(self, direction="Anterior"):
        manager = self.group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager")
        manager.GetCameraNode().RotateTo(getattr(slicer.vtkMRMLCameraNode, direction))
        self.renderer.ResetCamera()
        return self
