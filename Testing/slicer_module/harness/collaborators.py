"""What the tests give a panel to work with; import it after the harness has booted."""

from dataclasses import replace

from SegSRGANModule.Models import Models
from SegSRGANModule.Packages import Packages
from SegSRGANModule.Services import Services


class AcceptedTerms:
    """Nobody is asked: test_first_use.py is about the terms."""

    def ensure(self, choice) -> bool:
        return True


class Answers:
    """Answers every question: with `choice` of the choices, none at first, and with the items of the numbers `picked`.

    `asked` keeps the questions, `offered` the items.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.choice = lambda choices: None
        self.picked, self.asked, self.offered = [], [], []

    def choose(self, text: str, choices: list[str]) -> str | None:
        self.asked.append(text)
        return self.choice(choices)

    def pick(self, text: str, items: list[str]) -> list[int]:
        self.asked.append(text)
        self.offered = items
        return self.picked


def services(**instead) -> Services:
    """Slicer's own models and packages, the terms accepted, nobody to ask; `instead` names others."""
    return replace(Services(Models(), Packages(), AcceptedTerms(), Answers()), **instead)
