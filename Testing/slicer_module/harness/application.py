"""Boot the harness: real scene and logics, a Qt application offscreen, `slicer.app`, and module loading."""

import atexit
import ctypes
import functools
import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
_MOST_HEIGHT = 1600  # pixels of a panel


@functools.cache
def boot():
    """Boot once a process; returns the `slicer` package."""
    os.environ.pop("DISPLAY", None)
    os.environ.update(QT_QPA_PLATFORM="offscreen", MPLBACKEND="Agg")
    # software EGL: views are drawn without an X server
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    sys.path.insert(0, str(HERE))
    _makeConstantsImmortal()
    import qt
    import scene_boot
    import slicer
    import vtk

    window = vtk.vtkOutputWindow()
    window.SetDisplayModeToAlwaysStdErr()
    vtk.vtkOutputWindow.SetInstance(window)
    slicer.__path__.append(str(HERE / "standins" / "slicer"))
    qt.QSettings.setDefaultFormat(qt.QSettings.IniFormat)
    qt.QSettings.setPath(qt.QSettings.IniFormat, qt.QSettings.UserScope, _temporaryFolder())
    qApplication = qt.QApplication.instance() or qt.QApplication(["Slicer"])
    scene, logic, keep = scene_boot.boot()
    slicer.app = _applicationClass(qt)(scene, logic, (*keep, qApplication))
    import ctk  # noqa: F401
    import layouts
    import qmrml  # noqa: F401

    slicer.app._layouts = layouts.LayoutManager(scene, logic)
    slicer.app._layouts.start()
    return slicer


def _makeConstantsImmortal() -> None:
    """PySide6 6.12 gives up a reference to None, True or False with every call that returns one.

    From Python 3.12 on these are immortal and nothing happens; before, the process would die after some thousand calls.
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False, NotImplemented):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


def _temporaryFolder() -> str:
    folder = tempfile.mkdtemp(prefix="segsrgan-harness-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _applicationClass(qt):
    """The part of qSlicerApplication that the module and `slicer.util` call."""

    class ModuleManager(qt.QObject):
        moduleAboutToBeUnloaded = qt.Signal(str)
        signalSignatures = {"moduleAboutToBeUnloaded(QString)": "moduleAboutToBeUnloaded"}

        def module(self, name):
            import slicer

            return getattr(slicer.modules, name.lower(), None)

    class Application(qt.QObject):
        startupCompleted = qt.Signal()
        signalSignatures = {"startupCompleted()": "startupCompleted"}

        def __init__(self, scene, logic, keep):
            super().__init__()
            self._logic, self._keep, self._modules = logic, keep, ModuleManager()
            self.temporaryPath = _temporaryFolder()
            self.applicationVersion = "5.12 (harness)"

        def applicationLogic(self):
            return self._logic

        def layoutManager(self):
            """Tests of `Slicer --no-main-window`, which has none, replace this."""
            return self._layouts

        def coreIOManager(self):
            return self._keep[2]

        def moduleManager(self):
            return self._modules

        def processEvents(self, *args):
            qt.QApplication.processEvents()

        def startupEnvironment(self):
            return dict(os.environ)

        def translate(self, context, text):
            """No translation files: every text is itself."""
            return text

        def testingEnabled(self):
            return True

        def thread(self):
            return qt.QApplication.instance().thread()

        def topLevelWidgets(self):
            return qt.QApplication.topLevelWidgets()

        def userSettings(self):
            return qt.QSettings()

        settings = userSettings

        def setOverrideCursor(self, *args):
            pass

        def restoreOverrideCursor(self):
            pass

        def pauseRender(self):
            pass

        def resumeRender(self):
            pass

    return Application


class ScriptedModule:
    """qSlicerScriptedLoadableModule: what a module file's first class is given as `parent`."""

    def __init__(self, name, path):
        self.name, self.path, self.icon, self.widget = name, path, None, None

    def widgetRepresentation(self):
        return self.widget


def loadModule(path: pathlib.Path, services=lambda: None):
    """Load a scripted module as Slicer does; returns (Python module, module instance, widget instance).

    Args:
        services: returns what the widget is given to work with, once the module can be imported.
    """
    slicer = boot()
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent = ScriptedModule(name, str(path))
    instance = getattr(module, name)(parent)
    setattr(slicer.modules, name.lower(), parent)
    parent.widget = emptyWidget()
    widget = getattr(module, name + "Widget")(parent.widget, services())
    setattr(slicer.modules, name + "Widget", widget)
    widget.setup()
    return module, instance, widget


def emptyWidget():
    """What Slicer gives a module's widget as its parent."""
    import qt

    slicer = boot()
    parent = slicer.qMRMLWidget()
    parent.setLayout(qt.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    return parent


def showPage(panel, tab: int, width: int) -> None:
    """Show a tab as wide as said and as high as its texts need then: what Slicer's scroll area does with a panel."""
    import slicer

    panel.ui.tabs.currentIndex = tab
    panel.parent.show()
    panel.parent.resize(width, _MOST_HEIGHT)
    slicer.app.processEvents()
    page = panel.ui.tabs.currentWidget()
    frame = panel.parent.height - page.height
    panel.parent.resize(width, frame + page.layout().totalMinimumHeightForWidth(page.width))
    slicer.app.processEvents()
