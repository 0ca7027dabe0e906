"""The first use: terms are accepted once, PyTorch is missing, old or broken, and every text can be translated."""

import pytest
from harness.fixtures import applied, cleanScene, makePanel, models, panel, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
from harness.collaborators import Answers  # isort: skip
from SegSRGANModule.Jobs import ChildProcess  # isort: skip
from SegSRGANModule.Models import ModelChoice  # isort: skip
from SegSRGANModule.Packages import Packages  # isort: skip
from SegSRGANModule.Terms import Terms  # isort: skip


@pytest.fixture
def newcomer(makePanel):  # noqa: F811
    """A panel whose terms nobody has accepted yet, and who is asked: that declines at first."""
    asked = Answers()
    return makePanel(questions=asked, terms=Terms(asked))


def test_terms_are_shown_once_and_a_no_is_respected(standIn, newcomer):  # noqa: F811
    answers = newcomer.services.questions
    phantoms.node()
    newcomer.enter()
    newcomer.ui.applyButton.click()
    assert newcomer.enhanceTab.control.run is None and len(answers.asked) == 1
    assert all(text in answers.asked[0] for text in ("research only", "CC0-1.0", "Stand-in model"))
    answers.choice = lambda choices: choices[0]
    applied(newcomer)
    applied(newcomer)
    assert len(answers.asked) == 2  # once declined, once accepted, and not again


def test_another_licence_is_another_question():
    one, other = (ModelChoice("m", "M", licence=text) for text in ("CC0-1.0", "Non-commercial"))
    Terms.accept(one)
    assert Terms.areAccepted(one) and not Terms.areAccepted(other)


def test_batch_and_training_ask_too(newcomer):
    tabs = newcomer.batchTab, newcomer.trainingTab
    newcomer.batchTab.setParameters(newcomer.logic.getParameterNode())
    for tab in tabs:
        tab._onStart()
    assert len(newcomer.services.questions.asked) == 2 and all(tab.control.run is None for tab in tabs)


def test_an_old_torch_is_told_from_a_missing_one(makePanel, standIn):  # noqa: F811
    phantoms.node()
    old = makePanel(packages=Packages(version={"torch": "1.13.1+cu117"}.__getitem__))
    old.ui.applyButton.click()
    assert "PyTorch 1.13.1+cu117 is too old, >=2.2 is needed" in old.ui.statusLabel.text


def test_a_broken_torch_is_told_from_a_missing_one():
    lines = [
        "Traceback (most recent call last):",
        "    import torch",
        "ImportError: libcudnn.so.9: cannot open shared object file",
    ]
    assert "installed but cannot be loaded" in ChildProcess._sentence(lines, 1)
    assert "ended unexpectedly" in ChildProcess._sentence(["Segmentation fault"], -11)


class _NoConnection(Packages):
    """Notes what the panel says when packages are asked for, and cannot fetch them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.panel = [], None

    def ensure(self, more=None) -> None:
        self.seen.append(self.panel.ui.statusLabel.text)
        raise OSError("no connection")


def test_something_is_said_before_an_install(makePanel):  # noqa: F811
    packages = _NoConnection()
    phantoms.node()
    packages.panel = makePanel(packages=packages)
    packages.panel.ui.applyButton.click()
    assert packages.seen == ["Looking for the Python packages..."]
    assert "no connection" in packages.panel.ui.statusLabel.text


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
