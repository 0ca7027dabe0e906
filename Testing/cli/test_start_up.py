"""The list of sub-commands is shown without importing them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from SegSRGANLib.cli.app import COMMANDS

LISTED = """
import sys
from SegSRGANLib.cli.app import build
try:
    build()(["--help"])
except SystemExit as end:
    assert not end.code
print([name for name in ("torch", "SimpleITK", "numpy") if name in sys.modules])
"""


def test_the_help_imports_neither_torch_nor_simpleitk():
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_sub_command_says(name):
    module = import_module(f"SegSRGANLib.cli.{name}")
    app = getattr(module, "app", None)
    text = app.info.help if app else getattr(module, name).__doc__
    first = " ".join(text.split("\n\n")[0].split())
    assert first == COMMANDS[name]
