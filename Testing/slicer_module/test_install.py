"""The extension installs: every file is listed, and what CMake stages works on its own."""

import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from harness.fixtures import HARNESS, ROOT

LIBRARY_FOLDER = Path("lib/Slicer-5.12/qt-scripted-modules")


def _listed(folder: str, name: str) -> set[str]:
    text = (ROOT / folder / "CMakeLists.txt").read_text()
    body = re.search(rf"set\({name}\n(.*?)\n  \)", text, re.DOTALL).group(1)
    return {line.strip().replace("${MODULE_NAME}", folder) for line in body.splitlines()}


@pytest.mark.parametrize("folder", ["SegSRGAN", "SegSRGANLib"])
def test_every_script_is_listed(folder):
    there = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.py")}
    listed = _listed(folder, "MODULE_PYTHON_SCRIPTS")
    assert not there - listed, "run harness/update_cmake_lists.py, or the installed extension lacks them"
    assert not listed - there, "these are listed in CMakeLists.txt but do not exist"


def test_every_resource_is_listed():
    resources = ROOT / "SegSRGAN" / "Resources"
    there = {path.relative_to(ROOT / "SegSRGAN").as_posix() for path in resources.rglob("*") if path.is_file()}
    assert there == _listed("SegSRGAN", "MODULE_PYTHON_RESOURCES")
    library = ROOT / "SegSRGANLib"
    there = {
        path.relative_to(library).as_posix()
        for folder in ("templates", "viewer")
        for path in (library / "results" / folder).iterdir()
        if path.is_file() and path.suffix not in (".py", ".md")
    }
    assert there == _listed("SegSRGANLib", "MODULE_PYTHON_RESOURCES")


def test_metadata_of_the_extension():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(r"^project\(SegSRGAN\)$", text, re.MULTILINE)
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in text
    icon = re.search(r'set\(EXTENSION_ICONURL "([^"$]+)"\)', text).group(1)
    assert icon.endswith("/SegSRGAN.png")
    for url in re.search(r'set\(EXTENSION_SCREENSHOTURLS "([^"]+)"\)', text).group(1).split():
        assert (ROOT / url.split("/main/")[1]).is_file(), url
    entry = json.loads((ROOT / "SegSRGAN.json").read_text())
    assert entry["build_dependencies"] == ["PyTorch"]
    assert {"category", "scm_url", "scm_revision", "tier", "build_subdirectory"} <= set(entry)


def test_rules_of_the_extensions_index():
    """What a pull request to the Extensions Index is checked for."""
    entry = json.loads((ROOT / "SegSRGAN.json").read_text())
    allowed = {
        "$schema",
        "build_dependencies",
        "build_subdirectory",
        "category",
        "scm_revision",
        "scm_url",
        "tier",
        "enabled",
    }
    assert set(entry) <= allowed and entry["tier"] in (1, 3, 5)
    assert re.fullmatch(r"https://github.com/[\w-]+/(Slicer)?SegSRGAN.git", entry["scm_url"])  # named as the extension
    assert (ROOT / "SegSRGAN.json").stem == "SegSRGAN" and not (ROOT / "SegSRGAN.s4ext").exists()
    text = (ROOT / "CMakeLists.txt").read_text()
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert re.search(rf'^set\(EXTENSION_{name} "[^"$]+"\)$', text, re.MULTILINE), name  # literal, not computed
    urls = re.findall(r'https?://[^\s"]+', text)
    assert urls and all(url.startswith("https://") for url in urls)
    assert any((ROOT / name).is_file() for name in ("LICENSE", "LICENSE.txt", "License.txt"))
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    size = sum((ROOT / name).stat().st_size for name in tracked if name and (ROOT / name).is_file())
    assert size < 100_000_000


@pytest.mark.parametrize("path", ["SegSRGAN.png", "SegSRGAN/Resources/Icons/SegSRGAN.png"])
def test_icons_are_128_pixels_square(path):
    head = (ROOT / path).read_bytes()[:24]
    assert head.startswith(b"\x89PNG") and struct.unpack(">II", head[16:24]) == (128, 128)


def test_screenshots_are_small():
    pictures = list((ROOT / "Resources" / "Screenshots").glob("*.png"))
    assert pictures
    assert all(path.stat().st_size < 300_000 for path in pictures)


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """Build and install trees, made by CMake against a stand-in for Slicer's CMake files."""
    if not all(map(shutil.which, ("cmake", "cc", "c++"))):
        pytest.skip("needs cmake and compilers")
    build, install = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("install")
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={HARNESS / 'cmake'}", "-DBUILD_TESTING=ON"]
    for command in (
        configure,
        ["cmake", "--build", str(build)],
        ["cmake", "--install", str(build), "--prefix", str(install)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return {"build": build / LIBRARY_FOLDER, "install": install / LIBRARY_FOLDER}


_LOOK = """
import pathlib, sys
stage = pathlib.Path(sys.argv[1])
sys.path[:0] = [sys.argv[2], str(stage)]
import application
slicer = application.boot()
module, instance, widget = application.loadModule(stage / "SegSRGAN.py")
import SegSRGANLib
from SegSRGANModule.Models import Models
from SegSRGANLib.models import registry
from SegSRGANModule.Jobs import ChildProcess
assert pathlib.Path(SegSRGANLib.__file__).is_relative_to(stage), SegSRGANLib.__file__
assert registry.models_folder() == stage / "SegSRGANLib" / "models" / "bundled", registry.models_folder()
assert widget.ui.modelSelector.count == len(Models().choices()) > 1
assert pathlib.Path(ChildProcess.command()[1]).is_relative_to(stage)
assert not instance.parent.icon.isNull()
print("works")
"""


@pytest.mark.parametrize("tree", ["build", "install"])
def test_staged_tree_works_without_the_source(trees, tree, tmp_path):
    stage = trees[tree]
    command = [sys.executable, "-c", _LOOK, str(stage), str(HARNESS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.endswith("works\n"), done.stderr[-2000:]
    launcher = stage / "SegSRGANModule" / "Jobs" / "ChildLauncher.py"
    done = subprocess.run([sys.executable, str(launcher), "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "predict" in done.stdout, done.stderr[-2000:]
    assert all((stage / "SegSRGANLib" / name).is_file() for name in _listed("SegSRGANLib", "MODULE_PYTHON_SCRIPTS"))
    assert all((stage / "SegSRGANLib" / name).is_file() for name in _listed("SegSRGANLib", "MODULE_PYTHON_RESOURCES"))


def test_works_from_the_source_tree_with_only_the_module_folder_added(tmp_path):
    """What "Additional module paths" does: only SegSRGAN/ is on the path; the module finds the library beside it."""
    code = _LOOK.replace("stage = pathlib.Path(sys.argv[1])", f"stage = pathlib.Path({str(ROOT / 'SegSRGAN')!r})")
    code = code.split("import SegSRGANLib")[0] + "import SegSRGANLib; print('works', SegSRGANLib.__file__)"
    done = subprocess.run([sys.executable, "-c", code, "", str(HARNESS)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == f"works {ROOT / 'SegSRGANLib' / '__init__.py'}", done.stderr[-2000:]
