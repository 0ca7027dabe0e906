"""The project keeps its shape: two halves, light imports, small typed files, no images and no pickles."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import architecture_rules as rules

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "SegSRGANLib").rglob("*.py"))
PACKAGES = sorted(".".join(path.parts[len(ROOT.parts) + 1 : -1]) for path in LIBRARY if path.name == "__init__.py")[1:]
MODULE = sorted((ROOT / "SegSRGAN").rglob("*.py"))


def _complaints(paths: list[Path], rule) -> list[str]:
    """Apply a rule to each parsed file; complaints name the file."""
    return [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in paths
        for complaint in rule(ast.parse(path.read_text(encoding="utf-8")))
    ]


def _none(complaints: list[str]) -> None:
    """Fail with one complaint a line."""
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _needs_module() -> None:
    if not MODULE:
        pytest.skip("the Slicer module's folder SegSRGAN/ is not here")


def _tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a clone, to list the tracked files ({error})")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _modules_loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# ------------------------------------------------------------------------------------------------ the library


def test_library_never_imports_slicer():
    _none(_complaints(LIBRARY, lambda tree: rules.imports_of(rules.SLICER_PACKAGES, tree)))


def test_library_imports_only_its_core_at_file_scope():
    def rule(path: Path):
        command = "cli" in path.relative_to(ROOT).parts
        allowed = rules.CORE_PACKAGES | (rules.COMMAND_PACKAGES if command else set())
        return lambda tree: rules.foreign_at_file_scope(tree, allowed, sys.stdlib_module_names)

    _none([complaint for path in LIBRARY for complaint in _complaints([path], rule(path))])


def test_library_never_pickles():
    _none(_complaints(LIBRARY, rules.pickles))


def test_library_is_documented_and_typed():
    _none(_complaints(LIBRARY, rules.undocumented))


@pytest.mark.parametrize("name", ["SegSRGANLib", "SegSRGANLib.cli.main", *(f"SegSRGANLib.{name}" for name in PACKAGES)])
def test_importing_does_not_load_torch(name):
    loaded = _modules_loaded_by(f"import {name}")
    assert name in loaded
    assert not loaded & {"torch", "SimpleITK", "matplotlib", "scipy", "typer"}


def test_loading_a_model_does_not_load_the_compiler():
    """Torch's compiler takes five seconds of each start, and drawing weights that are never used loaded it."""
    names = ("segsrgan", "segsrgan-paper", "srrecnn")
    loaded = _modules_loaded_by(
        f"from SegSRGANLib.models.checkpoint import load_model; [load_model(name, 'cpu') for name in {names}]"
    )
    assert "torch" in loaded and not loaded & {"torch._dynamo", "sympy"}


def test_models_are_listed_and_imported_without_torch_and_safetensors(tmp_path, monkeypatch):
    """Slicer's panel does so before either is installed."""
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path))
    own = tmp_path / "own.safetensors"
    own.write_bytes((ROOT / "Resources" / "Models" / "segsrgan-paper.safetensors").read_bytes())
    with own.open("r+b") as stream:  # not the bundled file any more: another last weight
        stream.seek(-2, 2)
        stream.write(b"\0\0")
    loaded = _modules_loaded_by(
        "sys.modules['torch'] = sys.modules['safetensors'] = None; import SegSRGANLib.quality.preflight; "
        f"from SegSRGANLib.models import import_model, list_models; import_model({str(own)!r}); "
        "assert list_models()[-1].name == 'own' and not any(model.error for model in list_models())"
    )
    assert "SegSRGANLib.models.store" in loaded
    assert "SegSRGANLib.models.checkpoint" not in loaded


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_what_it_promises(name):
    """A public name that a module has, too, would be the one or the other, depending on what was imported before."""
    package = importlib.import_module(f"SegSRGANLib.{name}")
    for public in getattr(package, "__all__", []):
        assert getattr(package, public) is not None
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(getattr(package, "__all__", []))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_importing_changes_nothing(tmp_path):
    """No file, no output, no path, no environment variable."""
    code = (
        "import os, sys; before = list(sys.path), dict(os.environ); import SegSRGANLib; "
        "assert before == (list(sys.path), dict(os.environ)); print(sorted(os.listdir('.')), end='')"
    )
    command = [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]", "")


# ------------------------------------------------------------------------------------------- the Slicer module


def test_module_loads_neither_torch_nor_numpy_at_file_scope():
    _needs_module()
    _none(_complaints(MODULE, lambda tree: rules.imports_of(rules.NUMERIC_PACKAGES, tree, file_scope_only=True)))


def test_module_has_no_tensor_math():
    _needs_module()
    _none(_complaints(MODULE, rules.tensor_math))


# ---------------------------------------------------------------------------------------------- the repository


def test_no_image_or_pickle_is_tracked():
    found = []
    for path in _tracked():
        with path.open("rb") as file:
            reason = rules.image_or_pickle(path.name, file.read(400))
        found += [f"{path.relative_to(ROOT)}: {reason}"] if reason else []
    _none(found)


# ------------------------------------------------------------------------------------------- the rules do bite


@pytest.mark.parametrize(
    "source",
    [
        "import slicer.util",
        "def f():\n    from vtk.util import numpy_support",
        "import importlib\nimportlib.import_module('qt')",
        "try:\n    import ctk\nexcept ImportError:\n    ctk = None",
    ],
)
def test_rule_finds_slicer(source):
    assert rules.imports_of(rules.SLICER_PACKAGES, ast.parse(source))


def test_rule_tells_file_scope_from_function_scope():
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import torch\n"
    eager = [
        "import torch",
        "class A:\n    import torch",
        "try:\n    from torch import nn\nexcept ImportError:\n    pass",
    ]
    assert not rules.imports_of({"torch"}, ast.parse(lazy), file_scope_only=True)
    assert all(rules.imports_of({"torch"}, ast.parse(source), file_scope_only=True) for source in eager)


def test_rule_finds_foreign_packages_at_file_scope():
    tree = ast.parse("import json\nimport numpy as np\nimport scipy.ndimage\nfrom . import geometry")
    assert rules.foreign_at_file_scope(tree, rules.CORE_PACKAGES, sys.stdlib_module_names)[0].startswith("line 3")
    assert len(rules.foreign_at_file_scope(tree, rules.CORE_PACKAGES, sys.stdlib_module_names)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "torch.load(path)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "torch.save(x, f)",
    ],
)
def test_rule_finds_pickles(source):
    assert rules.pickles(ast.parse(source))


@pytest.mark.parametrize("source", ["torch.stack(a)", "import torch.nn.functional", "import scipy", "np.fft.fftn(x)"])
def test_rule_finds_tensor_math(source):
    assert rules.tensor_math(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "def f(): ...",
        '"""Doc."""\ndef f() -> None: ...',
        '"""Doc."""\ndef f(a) -> None:\n    "Doc."',
        '"""Doc."""\ndef f(*, a: int):\n    "Doc."',
        '"""Doc."""\nclass A:\n    x = 1',
        '"""Doc."""\nclass A:\n    "Doc."\n    def f(self, a) -> None: ...',
    ],
)
def test_rule_finds_missing_words_and_types(source):
    assert rules.undocumented(ast.parse(source))


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("a/sub-01_T2w.nii.gz", b""),
        ("model.pt", b""),
        ("scan.bin", bytes(344) + b"n+1\0"),
        ("scan.bin", bytes(128) + b"DICM"),
        ("scan.dat", b"\x1f\x8b\x08"),
        ("weights.bin", b"\x80\x04\x95"),
    ],
)
def test_rule_finds_images_and_pickles(path, head):
    assert rules.image_or_pickle(path, head)
    assert not rules.image_or_pickle("picture.png", b"\x89PNG\r\n\x1a\n")
