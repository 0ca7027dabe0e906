"""PyTorch and small packages: explained and asked for, never fetched silently."""

import importlib.util
import subprocess
import sys
import types

import pytest
from harness.fixtures import HARNESS, MODULE_FILE, ROOT, applied, cleanScene, models, panel, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
import signatures  # isort: skip
from SegSRGANModule import Packages  # isort: skip


@pytest.fixture
def missing(monkeypatch):
    """Packages that look as if they were not installed; a test can take names out."""
    names = set()
    real = importlib.util.find_spec
    monkeypatch.setattr(
        Packages.importlib.util, "find_spec", lambda name, *rest: None if name in names else real(name, *rest)
    )
    return names


@pytest.fixture
def torchExtension(monkeypatch, missing):
    """A PyTorchUtils whose installTorch notes how it was called; `answer` is what it returns."""
    calls = []

    class PyTorchUtilsLogic:
        answer = None

        def __init__(self):
            self.installTorch = signatures.stub("PyTorchUtils.PyTorchUtilsLogic.installTorch", self._install)

        def _install(self, askConfirmation, torchVersionRequirement, **_rest):
            calls.append((askConfirmation, torchVersionRequirement))
            if self.answer:
                missing.discard("torch")
            return self.answer

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return PyTorchUtilsLogic, calls


def test_panel_opens_without_torch_and_says_so(panel, missing):  # noqa: F811
    missing.add("torch")
    phantoms.node()
    panel.enter()
    assert "PyTorch is not installed yet" in panel.ui.warningLabel.text
    assert panel.ui.applyButton.enabled


def test_panel_opens_before_any_package_is_there(panel, standIn, monkeypatch):  # noqa: F811
    """The list of models needs safetensors, which Apply offers to install: so Apply must not wait for the list."""
    import SegSRGANLib.models

    monkeypatch.delattr(SegSRGANLib.models, "registry")
    monkeypatch.setitem(sys.modules, "SegSRGANLib.models.registry", None)
    phantoms.node()
    panel.enter()
    panel.enhanceTab.refreshModels()
    assert "once the Python packages are installed" in panel.ui.modelInfoLabel.text
    assert panel.ui.applyButton.enabled


_WITHOUT = """
import sys
sys.modules["torch"] = sys.modules["safetensors"] = None
sys.path[:0] = [{harness!r}, {module!r}, {root!r}]
import application, pathlib
slicer = application.boot()
_module, _instance, panel = application.loadModule(pathlib.Path({module!r}) / "SegSRGAN.py")
import phantoms
phantoms.node()
panel.enter()
parameters = panel.logic.getParameterNode()
parameters.batchSource, parameters.batchOutput = {scans!r}, {results!r}
for index in range(panel.ui.tabs.count):
    panel.ui.tabs.currentIndex = index
slicer.app.processEvents()
print("listed:", panel.ui.casesTable.item(0, 0).text(), panel.ui.applyButton.enabled)
"""


def test_panel_opens_where_torch_and_safetensors_cannot_be_imported(tmp_path):
    """Every tab, the list of a batch too: importing PyTorch into Slicer takes seconds, where it is there."""
    import SimpleITK as sitk

    (tmp_path / "scans").mkdir()
    sitk.WriteImage(phantoms.image(), str(tmp_path / "scans" / "sub-01_T2w.nii.gz"))
    folders = {"scans": str(tmp_path / "scans"), "results": str(tmp_path / "results")}
    code = _WITHOUT.format(harness=str(HARNESS), module=str(MODULE_FILE.parent), root=str(ROOT), **folders)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "listed: sub-01_T2w True" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extension_apply_explains(panel, missing, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    missing.add("torch")
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    assert "Extensions Manager" in panel.ui.statusLabel.text
    assert "try again" in panel.ui.statusLabel.text  # the Training tab has no Apply
    assert panel.enhanceTab.control.run is None and panel.ui.applyButton.enabled


def test_torch_is_asked_for_at_apply_and_a_no_is_respected(panel, missing, torchExtension, standIn):  # noqa: F811
    logic, calls = torchExtension
    missing.add("torch")
    phantoms.node()
    panel.enter()
    assert not calls  # nothing before Apply
    panel.ui.applyButton.click()
    assert calls == [(True, ">=2.2")]
    assert "was not installed" in panel.ui.statusLabel.text
    logic.answer = types.ModuleType("torch")
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text


def test_small_packages_go_through_pip_ensure(missing, monkeypatch):
    calls = []
    module = types.ModuleType("slicer.packaging")

    def ensure(requirements, requester, **_rest):
        calls.append(([str(requirement) for requirement in requirements], requester))
        missing.clear()

    module.pip_ensure = signatures.stub("slicer.packaging.pip_ensure", ensure)
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    missing.add("safetensors")
    Packages.ensure()
    assert calls == [(["safetensors>=0.4"], "SegSRGAN")]
    Packages.ensure()
    assert len(calls) == 1


def test_without_slicer_packaging_the_user_is_asked(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    asked, installed = [], []
    for name, answer in (
        ("confirmOkCancelDisplay", lambda text, **_rest: asked.append(text) or len(asked) > 1),
        ("pip_install", lambda requirements, **_rest: installed.append(requirements) or missing.clear()),
    ):
        monkeypatch.setattr(slicer.util, name, signatures.stub(f"slicer.util.{name}", answer))
    missing.add("typer")
    with pytest.raises(Packages.PackagesError, match="were not installed"):
        Packages.ensure()
    assert "typer>=0.12" in asked[0] and not installed
    Packages.ensure()
    assert installed == [["typer>=0.12"]]


def test_training_needs_more(missing):
    missing.add("lightning_fabric")
    Packages.ensure()
    assert set(Packages.FOR_TRAINING) == {"lightning_fabric"}
