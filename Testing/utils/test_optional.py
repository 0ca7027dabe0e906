"""Optional packages: the module when it is there, one clear sentence when it is not."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from SegSRGANLib.utils.errors import MissingPackage
from SegSRGANLib.utils.optional import EXTRAS, install_command, require


@pytest.fixture(autouse=True)
def outside_slicer(monkeypatch):
    """The stand-ins of the module's tests may be loaded."""
    monkeypatch.delitem(sys.modules, "slicer", raising=False)


def test_require_returns_the_submodule():
    assert require("xml.dom.minidom", extra="report") is sys.modules["xml.dom.minidom"]


def test_missing_package_says_what_to_install():
    with pytest.raises(MissingPackage, match="no_such_package") as caught:
        require("no_such_package.pyplot", extra="dicom")
    assert f"{sys.executable} -m pip install pydicom highdicom" in str(caught.value)
    assert caught.value.name == "no_such_package"
    assert "\n" not in str(caught.value)


def test_the_hint_fits_the_installation(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert install_command("keras") == '"/opt/my python/bin/python" -m pip install h5py'
    monkeypatch.setattr(sys, "prefix", "/home/me/.local/share/pipx/venvs/segsrgan-torch")
    assert install_command("keras") == "pipx inject segsrgan-torch h5py"
    monkeypatch.setattr(sys, "prefix", "/venv")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert install_command("keras").startswith("uv pip install --python ")
    monkeypatch.setitem(sys.modules, "slicer", None)
    assert install_command("keras") == 'slicer.util.pip_install("h5py")'


def test_hints_and_extras_agree():
    """Every extra that the code asks for brings what the hint names."""
    root = Path(__file__).parents[2]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    for extra, packages in EXTRAS.items():
        table = re.search(rf"^{extra} = \[(.*)\]$", text, re.MULTILINE)
        listed = table[1] if table else re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
        assert set(packages) <= set(re.findall(r'"([A-Za-z0-9-]+)', listed)), extra
    asked = {
        extra
        for path in (root / "SegSRGANLib").rglob("*.py")
        for extra in re.findall(r'extra="(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert asked and asked <= set(EXTRAS)


def test_missing_part_of_an_installed_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import its_missing_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage, match="its_missing_dependency"):
        require("half_installed", extra="report")


def test_broken_package_keeps_its_own_message(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="libGL") as caught:
        require("broken_package", extra="report")
    assert not isinstance(caught.value, MissingPackage)
