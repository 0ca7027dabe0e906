"""Fixtures and helpers of the Slicer tests; a test file begins with `from harness.fixtures import ...`.

The harness boots once a process. Every test starts with an empty scene, and no VTK error and no exception inside a Qt
slot passes silently.
"""

import functools
import gc
import importlib.util
import json
import re
import struct
import sys
from pathlib import Path

import pytest
from support.tracing import untraced

if any(importlib.util.find_spec(name) is None for name in ("slicer_core", "vtkmodules", "PySide6")):
    pytest.skip(
        "needs slicer-core, vtk and PySide6-Essentials: pip install -e '.[slicer-test]'", allow_module_level=True
    )

HARNESS = Path(__file__).resolve().parent
ROOT = HARNESS.parents[2]
MODULE_FILE = ROOT / "SegSRGAN" / "SegSRGAN.py"
sys.path[:0] = [str(HARNESS), str(MODULE_FILE.parent)]  # Slicer adds the module's folder too
import application  # noqa: E402

with untraced():
    slicer = application.boot()
import qt  # noqa: E402
import vtk  # noqa: E402

# said by Slicer itself when a scene is saved twice, and when a scene with slice views is loaded
_HARMLESS = re.compile("DataNodeCache item was missing|removing old version of file|orientation preset name: Reformat")


@functools.cache
def _loaded():
    def services():
        from harness.collaborators import services

        return services()

    return application.loadModule(MODULE_FILE, services)


@functools.cache
def _clearedOnce():
    """What the application starts with goes before the first test; each test leaves an empty scene."""
    slicer.mrmlScene.Clear(False)


def _removeOwnViews():
    """Views are singletons, which outlive a cleared scene: those of an earlier test's layout go."""
    for kind in ("vtkMRMLSliceCompositeNode", "vtkMRMLSliceNode"):
        for node in slicer.util.getNodesByClass(kind):
            if node.GetLayoutName().startswith("SegSRGAN"):
                slicer.mrmlScene.RemoveNode(node)


@pytest.fixture(autouse=True)
def cleanScene(monkeypatch, tmp_path):
    """An empty scene, own settings and models; yields the list of errors, which must stay empty."""
    # Slicer's log reader is a thread; widgets must not be garbage collected there
    gc.collect()
    gc.freeze()  # what outlives a test stays: looking at all of it again before each test took longer than most tests
    gc.disable()
    errors = []
    window = vtk.vtkOutputWindow.GetInstance()

    @vtk.calldata_type(vtk.VTK_STRING)
    def onError(caller, event, text):
        if not _HARMLESS.search(text):
            errors.append(text)

    tag = window.AddObserver("ErrorEvent", onError)
    monkeypatch.setattr(sys, "excepthook", lambda kind, value, trace: errors.append(f"{kind.__name__}: {value}"))
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path / "home"))
    qt.QSettings().clear()
    _clearedOnce()
    _removeOwnViews()
    slicer.app.layoutManager().start()
    yield errors
    slicer.mrmlScene.Clear(False)
    slicer.app.processEvents()
    window.RemoveObserver(tag)
    gc.enable()
    assert not errors, errors


@pytest.fixture
def panel(models):
    """The module's widget, entered, with a model list of one model; the terms are accepted."""
    _module, _instance, widget = _loaded()
    widget.enter()
    widget.enhanceTab.refreshModels()
    widget.trainingTab.refreshModels()
    yield widget
    widget.enhanceTab.control.display.idle()
    widget.trainingTab.control.display.idle()
    widget.batchTab.control.display.idle()
    widget.ui.flickerButton.checked = widget.ui.swipeButton.checked = False
    widget.ui.tabs.currentIndex = 0


@pytest.fixture
def answers(panel):
    """Whoever answers the panel's questions; without `choice` nothing is chosen."""
    panel.services.questions.reset()
    yield panel.services.questions
    panel.services.questions.reset()


@pytest.fixture
def makePanel(models):
    """A function that makes a further panel, entered, with other collaborators: `makePanel(packages=...)`."""
    made = []

    def make(**instead):
        from harness.collaborators import services
        from SegSRGANModule.Panel.Widget import SegSRGANWidget

        made.append(SegSRGANWidget(application.emptyWidget(), services(**instead)))
        made[-1].setup()
        made[-1].enter()
        return made[-1]

    yield make
    for widget in made:
        widget.cleanup()
        for nodes in widget.parent.findChildren(slicer.qMRMLNodeComboBox):
            nodes.release()


@pytest.fixture
def logic(models):
    return _loaded()[0].SegSRGANLogic()


@pytest.fixture
def models(monkeypatch, tmp_path):
    """A model list with one tiny file whose header is right: enough for the panel."""
    _loaded()
    from SegSRGANLib.models import registry

    folder = tmp_path / "models"
    folder.mkdir()
    entry = {"name": "stand-in", "title": "Stand-in model", "description": "For tests.", "licence": "CC0-1.0"}
    (folder / "models.json").write_text(json.dumps({"models": [{**entry, "file": "stand-in.safetensors"}]}))
    writeModelFile(folder / "stand-in.safetensors", "Stand-in model")
    monkeypatch.setattr(registry, "models_folder", lambda: folder)
    return folder


@pytest.fixture
def standIn(monkeypatch, tmp_path):
    """Runs start `stand_in_child.py`; call it with a mode to make that misbehave, `asked()` tells its arguments."""
    from SegSRGANModule.Jobs import ChildProcess

    notes = tmp_path / "stand-in.json"
    monkeypatch.setattr(ChildProcess, "command", lambda script: [sys.executable, str(HARNESS / "stand_in_child.py")])
    monkeypatch.setenv("SEGSRGAN_STAND_IN_NOTES", str(notes))

    def misbehave(mode: str) -> None:
        monkeypatch.setenv("SEGSRGAN_STAND_IN", mode)

    misbehave.asked = lambda: json.loads(notes.read_text())
    return misbehave


@functools.cache
def _allViews() -> dict:
    import views

    names = (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal"))
    return {name: views.SliceView(name, orientation) for name, orientation in names}


@pytest.fixture
def sliceViews():
    return _allViews()


def writeModelFile(path: Path, title: str) -> None:
    """A safetensors file without tensors, with a SegSRGAN card."""
    card = {"title": title, "description": "For tests.", "licence": "CC0-1.0", "normalization": {}}
    card |= {"training_spacing": [0.4, 1.2], "training_slices": [1.0, 6.0]}
    metadata = {"__metadata__": {"segsrgan": json.dumps({"architecture": "generator", "config": {}, "card": card})}}
    header = json.dumps(metadata).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def waitFor(condition, seconds: float = 60.0) -> None:
    """Let the GUI live until the condition holds."""
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        slicer.app.processEvents()
        time.sleep(0.01)


def applied(panel) -> None:
    """Press Apply and wait for the end of the run."""
    panel.ui.applyButton.click()
    waitFor(lambda: panel.enhanceTab.control.run is None)
