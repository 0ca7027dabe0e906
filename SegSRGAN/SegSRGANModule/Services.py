"""What the tabs are given to work with: protocols, so that a test hands in stand-ins and no module is patched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .Models import ModelChoice
from .Settings import EnhanceSettings


class Asks(Protocol):
    """Who shows a question; see `Panel.Questions`."""

    def choose(self, text: str, choices: list[str]) -> str | None: ...

    def pick(self, text: str, items: list[str]) -> list[int]: ...


class ListsModels(Protocol):
    """Which models there are; see `Models`."""

    def choices(self) -> list[ModelChoice]: ...

    def defaultKey(self) -> str: ...

    def canFindBrain(self) -> bool: ...

    def freeName(self, name: str, path: Path) -> str: ...

    def isAdded(self, name: str | None, path: Path) -> bool: ...


class InstallsPackages(Protocol):
    """Who sees to the Python packages of a run; see `Packages`."""

    def isTorchInstalled(self) -> bool: ...

    def ensure(self, more: dict[str, str] | None = None) -> None: ...


class AsksForConsent(Protocol):
    """Who sees to the terms of use; see `Terms`."""

    def ensure(self, choice: ModelChoice | None) -> bool: ...


class Enhances(Protocol):
    """What the tabs need of `Logic`."""

    def getParameterNode(self) -> Any: ...

    def resolved(self, settings: EnhanceSettings) -> EnhanceSettings: ...


@dataclass(frozen=True)
class Services:
    """What all tabs share."""

    models: ListsModels
    packages: InstallsPackages
    terms: AsksForConsent
    questions: Asks
