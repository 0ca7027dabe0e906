"""The texts of the module in its source, where translators find them. No scene: there is a test for every file."""

import ast
import re
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "SegSRGAN"


def _translated(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_"]


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_text_is_a_literal_that_translators_find(path):
    for call in _translated(path):
        (argument,) = call.args
        assert isinstance(argument, ast.Constant) and isinstance(argument.value, str), ast.unparse(call)
        assert not re.search(r"\{\d*\}", argument.value), f"name the placeholders of {argument.value!r}"
