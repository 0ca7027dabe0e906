"""A scene with Slicer's real MRML nodes and module logics, from the slicer-core wheel, without the application.

The order of the steps matters: a logic reads its share folder when it is given the scene, so folders and the
application logic come first.
"""

import atexit
import pathlib
import shutil
import sys
import tempfile
import types

import slicer
import slicer.util
import subject_hierarchy
import terminology
import vtk
from io_manager import IOManager

# module name -> class of its logic: slicer.modules.<lower case name>.logic()
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
}


class LogicModule:
    """`slicer.modules.volumes` and the like."""

    def __init__(self, name, logic):
        self.name, self._logic = name, logic

    def logic(self):
        return self._logic


def boot() -> tuple:
    """Create the scene and the logics; returns (scene, application logic, objects to keep alive)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="segsrgan-harness-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    terminology.write(folder / "share" / "terminologies")
    _writeColors(folder / "home" / "share" / "ColorFiles")
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetHomeDirectory(str(folder / "home"))
    application.SetShareDirectory("share")
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    _addModules(scene, application, folder / "share")
    subject_hierarchy.observe(scene)
    return scene, application, _remoteIO(scene, application, folder / "cache")


def _writeColors(folder: pathlib.Path) -> None:
    """The default colour table of label maps, which is a file of the application."""
    folder.mkdir(parents=True)
    rows = [f"{i} region_{i} {i * 67 % 256} {i * 131 % 256} {i * 197 % 256} 255" for i in range(1, 256)]
    (folder / "GenericColors.txt").write_text("\n".join(["# Color", "0 background 0 0 0 0", *rows]) + "\n")


def _addModules(scene, application, share: pathlib.Path) -> None:
    modules = types.ModuleType("slicer.modules")
    sys.modules["slicer.modules"] = slicer.modules = modules
    slicer.moduleNames = types.ModuleType("slicer.moduleNames")
    slicer.mrmlScene = scene
    for name, className in LOGICS.items():
        logic = getattr(slicer, className)()
        if hasattr(logic, "SetModuleShareDirectory"):
            own = share / name.lower()
            logic.SetModuleShareDirectory(str(own if own.is_dir() else share))
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        setattr(modules, name.lower(), LogicModule(name, logic))
        setattr(slicer.moduleNames, name, name)
        if name == "Colors":  # it replaces the basic colour logic, whose default nodes go with that
            application.SetColorLogic(logic)
            logic.AddDefaultColorNodes()


def _remoteIO(scene, application, cache: pathlib.Path) -> tuple:
    """Without a cache folder the scene refuses to read .mrb files."""
    remote, manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    cache.mkdir()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(application)
    remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    manager.SetMRMLApplicationLogic(application)
    manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
    manager.SetMRMLScene(scene)
    remote.AddDataIOToScene()
    return remote, manager, IOManager(scene)
