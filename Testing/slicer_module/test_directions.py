"""The arrows between the module's folders point one way: Panel, Logic, Jobs, Scene; leaves import no folder above."""

import ast
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "SegSRGAN" / "SegSRGANModule"
LEAVES = {"ParameterNode", "Settings", "Packages", "Models", "Services", "Terms"}
# room -> the rooms that it may import; Preflight looks at nodes and is asked by jobs and tabs
MAY_IMPORT = {
    "Scene": {"Scene", *LEAVES},
    "Preflight": {"Scene", *LEAVES},
    "Jobs": {"Jobs", "Scene", "Preflight", *LEAVES},
    "Logic": {"Jobs", "Scene", "Preflight", *LEAVES},
    "Panel": {"Panel", "Logic", "Jobs", "Scene", "Preflight", *LEAVES},
    **dict.fromkeys(LEAVES, LEAVES),
}
FILES = sorted(path for path in MODULE.rglob("*.py") if path.stem not in ("__init__", "Test", "TestDay", "TestScans"))


def _room(path: Path) -> str:
    return path.relative_to(MODULE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """Rooms that a file imports from, by its relative imports, also those inside functions."""
    found = set()
    depth = len(path.relative_to(MODULE).parts) - 1  # of folders below the module's own
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level == depth + 1:  # from the module's own folder
                found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
            else:
                found.add(_room(path))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(MODULE).as_posix())
def test_no_file_imports_from_above(path):
    assert _imported(path) <= MAY_IMPORT[_room(path)]


def test_the_rule_finds_an_arrow_upwards(tmp_path, monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules[__name__], "MODULE", tmp_path)
    (tmp_path / "Scene").mkdir()
    (tmp_path / "Scene" / "Views.py").write_text("def f():\n    from ..Panel.Widget import SegSRGANWidget\n")
    assert _imported(tmp_path / "Scene" / "Views.py") == {"Panel"}
    (tmp_path / "Scene" / "Views.py").write_text("from . import Masks\nfrom ..Jobs import BatchJob\n")
    assert _imported(tmp_path / "Scene" / "Views.py") == {"Scene", "Jobs"}
