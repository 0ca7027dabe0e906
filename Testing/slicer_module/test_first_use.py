"""The first use: terms are accepted once, PyTorch is missing, old or broken, and every text can be translated."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest
from harness.fixtures import ROOT, applied, cleanScene, models, panel, slicer, standIn, waitFor  # noqa: F401

import phantoms  # isort: skip
import qt  # isort: skip
from SegSRGANModule import Models, Packages, Terms  # isort: skip
from SegSRGANModule.Jobs import ChildProcess  # isort: skip

MODULE = ROOT / "SegSRGAN"


@pytest.fixture
def newcomer(panel, monkeypatch):  # noqa: F811
    """Nobody has accepted anything yet; yields the questions, which are declined until `answers` says otherwise."""
    monkeypatch.setattr(Terms, "areAccepted", lambda choice: qt.QSettings().value(Terms._setting(choice)) is not None)
    asked, answers = [], []

    def choose(text, choices):
        asked.append(text)
        return choices[0] if answers else None

    monkeypatch.setattr(panel.questions, "choose", choose)
    return asked, answers


def test_terms_are_shown_once_and_a_no_is_respected(panel, standIn, newcomer):  # noqa: F811
    asked, answers = newcomer
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    assert panel.enhanceTab.control.run is None and len(asked) == 1
    assert "research only" in asked[0] and "CC0-1.0" in asked[0] and "Stand-in model" in asked[0]
    answers.append(True)
    applied(panel)
    applied(panel)
    assert len(asked) == 2  # once declined, once accepted, and not again


def test_another_licence_is_another_question():
    one, other = (Models.ModelChoice("m", "M", licence=text) for text in ("CC0-1.0", "Non-commercial"))
    Terms.accept(one)
    assert Terms.areAccepted(one) and not Terms.areAccepted(other)


def test_batch_and_training_ask_too(panel, newcomer, tmp_path):  # noqa: F811
    asked, _answers = newcomer
    panel.batchTab.setParameters(panel.logic.getParameterNode())
    panel.batchTab._onStart()
    panel.trainingTab._onStart()
    assert len(asked) == 2 and panel.batchTab.control.run is None and panel.trainingTab.control.run is None


def test_an_old_torch_is_told_from_a_missing_one(panel, standIn, monkeypatch):  # noqa: F811
    real = importlib.metadata.version
    monkeypatch.setattr(
        Packages.importlib.metadata, "version", lambda name: "1.13.1+cu117" if name == "torch" else real(name)
    )
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    assert "PyTorch 1.13.1+cu117 is too old, >=2.2 is needed" in panel.ui.statusLabel.text


def test_a_broken_torch_is_told_from_a_missing_one():
    lines = [
        "Traceback (most recent call last):",
        "    import torch",
        "ImportError: libcudnn.so.9: cannot open shared object file",
    ]
    assert "installed but cannot be loaded" in ChildProcess._sentence(lines, 1)
    assert "ended unexpectedly" in ChildProcess._sentence(["Segmentation fault"], -11)


def test_something_is_said_before_an_install(panel, monkeypatch):  # noqa: F811
    seen = []
    monkeypatch.setattr(Packages, "ensure", lambda *more: seen.append(panel.ui.statusLabel.text) or 1 / 0)
    phantoms.node()
    panel.enter()
    panel.ui.applyButton.click()
    assert seen == ["Looking for the Python packages..."]


def _translated(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_"]


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_text_is_a_literal_that_translators_find(path):
    for call in _translated(path):
        (argument,) = call.args
        assert isinstance(argument, ast.Constant) and isinstance(argument.value, str), ast.unparse(call)
        assert not re.search(r"\{\d*\}", argument.value), f"name the placeholders of {argument.value!r}"


def test_texts_are_looked_up_in_the_context_of_their_file(panel, monkeypatch):  # noqa: F811
    seen = set()
    monkeypatch.setattr(
        type(slicer.app), "translate", lambda self, context, text: seen.add((context, text)) or f"<{text}>"
    )
    phantoms.node()
    panel.enter()
    panel.enhanceTab.update()
    panel.qualityTab.update()
    assert ("Panel.QualityTab", "No result yet: run Enhance first, or load a scene with a result.") in seen
    assert panel.ui.qualityLabel.text.startswith("<No result yet")
    assert ("SegSRGANModule.Preflight", "on this CPU") in seen
