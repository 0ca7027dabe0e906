"""Everything that the README and the documentation tell a reader to type works."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
import typer
from PIL import Image
from support.bright_brain import use_bright_brain
from support.dicom_files import mr_series, save_series
from support.documentation import PAGES, ROOT, commands, fill, snippets, tiny_models
from support.tracing import exporter_untraced  # noqa: F401 (a fixture)
from typer.testing import CliRunner

from SegSRGANLib.cli import demo
from SegSRGANLib.cli.app import build
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.models import registry

# Commands that are only parsed, not run: they take long, a cluster or public data, and have tests of their own.
LONG = re.compile(r"^(train|compare)\b|--slurm|\$SEGSRGAN_DATA|^models export")
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


def _segsrgan(page: Path) -> list[list[str]]:
    return [words[words.index("segsrgan") + 1 :] for words in commands(page) if words[0] in ("segsrgan", "srun")]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_exists_with_its_options(page):
    application = typer.main.get_command(build())
    for words in _segsrgan(page):
        if "--help" in words:
            continue
        context = application.make_context("segsrgan", list(words))
        while hasattr(context.command, "get_command"):  # the words left to the sub-command
            rest = [*context._protected_args, *context.args]
            command = context.command.get_command(context, rest[0])
            assert command is not None, rest[0]
            context = command.make_context(rest[0], rest[1:], parent=context)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_other_command_names_what_is_there(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, words
        if words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), words
        if words[0] == "python" and words[1] == "-m" and words[2].startswith("SegSRGANLib"):
            assert importlib.util.find_spec(words[2]), words
        if words[0] in ("python", "pytest"):
            assert all((ROOT / word).exists() for word in words if word.startswith("Testing/")), words


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files of the documentation, and a tiny default model."""
    models = tmp_path / "models"
    models.mkdir()
    tiny_models(models)
    monkeypatch.setattr(registry, "models_folder", lambda: models)
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    use_bright_brain(monkeypatch)
    monkeypatch.setattr(demo, "neonatal_phantom", lambda seed: neonatal_phantom(spacing=3.0, seed=seed))
    folder = tmp_path / "work"
    folder.mkdir()
    fill(folder)
    monkeypatch.chdir(folder)
    return folder


# To run again and again, without a browser, at a coarse spacing, without searching for a brain in noise.
# The worker of a batch is a process of its own, which gets the tiny model as a file.
_ADDED = {
    "predict": ("--overwrite",),
    "batch": ("--overwrite", "-m", "../models/segsrgan.safetensors"),
    "view": ("--overwrite",),
    "brain": ("--overwrite",),
    "demo": ("--slice-thickness", "9"),
}


def _alone(words):
    """With one worker, which is enough here."""
    if "--workers" not in words:
        return words
    place = words.index("--workers")
    return [*words[:place], *words[place + 2 :]]


def _without_long_work(words):
    if words[0] == "view" and "-o" not in words:
        return "--no-browser", "--cancel-file", "stop"
    if words[0] not in ("predict", "batch"):
        return ()
    coarse = () if {"--spacing", "--like"} & set(words) else ("--spacing", "1")
    return (*coarse, *(() if "--mask" in words or "list.csv" in words else ("--mask", "none")))


RUN = [page for page in PAGES if any(not LONG.search(" ".join(words)) for words in _segsrgan(page))]


@pytest.mark.slow
@pytest.mark.usefixtures("exporter_untraced")
@pytest.mark.parametrize("page", RUN, ids=[path.relative_to(ROOT).as_posix() for path in RUN])
def test_every_command_runs(page, place):
    if "DICOM_FOLDER" in page.read_text() or "scan-folder" in page.read_text():
        pytest.importorskip("highdicom", reason="needs the extra dicom")
        for name in ("DICOM_FOLDER", "scan-folder"):
            (place / name).mkdir()
            save_series(place / name, mr_series())
    (place / "stop").touch()
    first = ["predict", "sub-01_T2w.nii.gz", "-o", "results", "--mask", "none", "--spacing", "1"]
    assert CliRunner().invoke(build(), first).exit_code == 0  # what the pages look at
    for words in _segsrgan(page):
        if LONG.search(" ".join(words)) or "--help" in words:
            continue
        words = [os.path.expandvars(word) for word in words]
        if words[:2] == ["models", "export"]:
            pytest.importorskip("onnxscript", reason="needs the extra onnx")
        words = [*_alone(words), *_ADDED.get(words[0], ()), *_without_long_work(words)]
        done = CliRunner().invoke(build(), words)
        assert done.exit_code == 0, f"segsrgan {' '.join(words)}\n{done.output}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page)], ids=lambda page: page.stem)
def test_every_snippet_runs(page, place):
    for snippet in snippets(page):
        tree = ast.parse(snippet)
        if "slicer" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} or "logic." in snippet:
            continue  # Slicer's console: Testing/repository/test_module_documentation.py has these
        if "[axial" in snippet:
            continue  # several stacks: Testing/cli/test_several_stacks.py
        if "read_atlases" in snippet:
            for node in ast.walk(tree):  # registration of atlases takes minutes: the names are looked up
                if isinstance(node, ast.ImportFrom):
                    exec(compile(ast.Module([node], []), page.name, "exec"), {})
            continue
        exec(compile(tree, page.name, "exec"), {})


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    for path in sorted((ROOT / "SegSRGANLib").rglob("__init__.py")):
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        tables = [
            n.args[1] for n in ast.walk(ast.parse(path.read_text())) if getattr(n, "args", None) and len(n.args) == 2
        ]
        for table in (ast.literal_eval(t) for t in tables if isinstance(t, ast.Dict)):
            names = {f"{package}.{module}.{name}" for module, names in table.items() for name in names}
            assert package == "SegSRGANLib" or names <= listed, sorted(names - listed)


def test_every_reference_exists():
    for line in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE):
        module, name = line.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), name), line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_inside_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_pictures_have_the_size_they_are_shown_at():
    for picture in (ROOT / "Resources" / "Screenshots").iterdir():
        assert picture.stat().st_size <= 500_000, picture.name
        with Image.open(picture) as opened:
            assert opened.format in ("PNG", "JPEG") and opened.width <= 1400, picture.name


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(place, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    notebook = json.loads((ROOT / "docs" / "first-steps.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    values = {}
    for cell in cells:
        cell = re.sub(
            r"^(spacing|slice_thickness) = ([\d.]+)", lambda m: f"{m[1]} = {2.5 * float(m[2])}", cell, flags=re.M
        )
        exec(compile(cell, "first-steps.ipynb", "exec"), values)
    assert values["figures"]["psnr"] > 5
    assert (place / "first-steps" / "phantom_record.json").is_file()
    assert not any(cell.get("outputs") for cell in notebook["cells"])  # no pictures in the repository's history


def test_model_cards_have_what_model_hubs_read():
    yaml = pytest.importorskip("yaml", reason="needs the extra train")
    listed = {entry.name: entry for entry in registry.listed_models() if entry.file}
    cards = {name: ROOT / "docs" / "models" / f"{name}.md" for name in listed}
    extractor = registry.brain_extractor_entry()
    listed[extractor.name], cards[extractor.name] = extractor, ROOT / "docs" / "brain_extraction.md"
    for name, entry in listed.items():
        card = cards[name].read_text(encoding="utf-8")
        front = yaml.safe_load(card.split("---\n")[1])
        assert front["license"] == "other" and front["license_link"].endswith("Resources/Models/LICENSE.md")
        assert front["library_name"] == "segsrgan-torch" and front["model_file"] == entry.file
        assert front["pipeline_tag"] in ("image-segmentation", "image-to-image")
