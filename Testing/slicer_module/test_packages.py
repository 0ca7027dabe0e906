"""PyTorch and small packages: explained and asked for, never fetched silently."""

import importlib.util
import subprocess
import sys
import types

import pytest
from harness.fixtures import HARNESS, MODULE_FILE, ROOT, applied, cleanScene, makePanel, models, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
import signatures  # isort: skip
from SegSRGANModule.Models import Models  # isort: skip
from SegSRGANModule.Packages import FOR_TRAINING, Packages, PackagesError  # isort: skip


@pytest.fixture
def missing():
    """Names of packages that look as if they were not installed; a test can take names out."""
    return set()


@pytest.fixture
def packages(missing):
    return Packages(find=lambda name: None if name in missing else importlib.util.find_spec(name))


@pytest.fixture
def panel(makePanel, packages):  # noqa: F811
    phantoms.node()
    return makePanel(packages=packages)


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


def test_panel_opens_without_torch_and_says_so(panel, missing):
    missing.add("torch")
    panel.enhanceTab.update()
    assert "PyTorch is not installed yet" in panel.ui.warningLabel.text
    assert panel.ui.applyButton.enabled


def test_panel_opens_before_any_package_is_there(makePanel, standIn):  # noqa: F811
    """Apply offers to install what the list of models needs: so Apply must not wait for the list."""
    phantoms.node()
    panel = makePanel(models=Models(registry=lambda: None))
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


def test_without_the_extension_apply_explains(panel, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    missing.add("torch")
    panel.ui.applyButton.click()
    assert "Extensions Manager" in panel.ui.statusLabel.text
    assert "try again" in panel.ui.statusLabel.text  # the Training tab has no Apply
    assert panel.enhanceTab.control.run is None and panel.ui.applyButton.enabled


def test_torch_is_asked_for_at_apply_and_a_no_is_respected(panel, missing, torchExtension, standIn):  # noqa: F811
    logic, calls = torchExtension
    missing.add("torch")
    assert not calls  # nothing before Apply
    panel.ui.applyButton.click()
    assert calls == [(True, ">=2.2")]
    assert "was not installed" in panel.ui.statusLabel.text
    logic.answer = types.ModuleType("torch")
    applied(panel)
    assert "Done" in panel.ui.statusLabel.text


def test_small_packages_go_through_pip_ensure(packages, missing, monkeypatch):
    calls = []
    module = types.ModuleType("slicer.packaging")

    def ensure(requirements, requester, **_rest):
        calls.append(([str(requirement) for requirement in requirements], requester))
        missing.clear()

    module.pip_ensure = signatures.stub("slicer.packaging.pip_ensure", ensure)
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    missing.add("safetensors")
    packages.ensure()
    assert calls == [(["safetensors>=0.4"], "SegSRGAN")]
    packages.ensure()
    assert len(calls) == 1


def test_without_slicer_packaging_the_user_is_asked(packages, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    asked, installed = [], []
    for name, answer in (
        ("confirmOkCancelDisplay", lambda text, **_rest: asked.append(text) or len(asked) > 1),
        ("pip_install", lambda requirements, **_rest: installed.append(requirements) or missing.clear()),
    ):
        monkeypatch.setattr(slicer.util, name, signatures.stub(f"slicer.util.{name}", answer))
    missing.add("typer")
    with pytest.raises(PackagesError, match="were not installed"):
        packages.ensure()
    assert "typer>=0.12" in asked[0] and not installed
    packages.ensure()
    assert installed == [["typer>=0.12"]]


def test_training_needs_more(packages, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    missing.add("lightning_fabric")
    packages.ensure()
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: False)
    with pytest.raises(PackagesError, match="lightning-fabric>=2.2 were not installed"):
        packages.ensure(FOR_TRAINING)
