"""Optional packages: the module when it is there, one clear sentence when it is not."""

import sys

import pytest

from SegSRGANLib.utils.errors import MissingPackage
from SegSRGANLib.utils.optional import require


def test_require_returns_the_submodule():
    assert require("xml.dom.minidom", extra="report") is sys.modules["xml.dom.minidom"]


def test_missing_package_says_what_to_install():
    with pytest.raises(MissingPackage, match=r'no_such_package.*pip install "segsrganlib\[report\]"') as caught:
        require("no_such_package.pyplot", extra="report")
    assert caught.value.name == "no_such_package"
    assert "\n" not in str(caught.value)


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
