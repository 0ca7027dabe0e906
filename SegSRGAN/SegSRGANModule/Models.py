"""The models to choose from, as the panel shows them: the library's own list, read without PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from slicer.i18n import tr as _

_UNKNOWN_TITLE = "SegSRGAN"


@dataclass(frozen=True)
class ModelChoice:
    """One line of the model selector.

    key: the name that `segsrgan predict --model` is given. summary: two sentences. details: everything else that its
    card says. bytes: of the file, or of the download.
    classes: names of the tissues that it segments; () when the file does not say.
    trainingSpacing, trainingSlices: mm, from and to; None when the file does not say.
    problem: why the file cannot be used, or "".
    """

    key: str
    title: str
    summary: str = ""
    details: str = ""
    licence: str = ""
    bytes: int = 0
    classes: tuple[str, ...] = ()
    trainingSpacing: tuple[float, float] | None = None
    trainingSlices: tuple[float, float] | None = None
    isInstalled: bool = True
    problem: str = ""

    def text(self) -> str:
        """What stands under the selector: two sentences, and the licence in full."""
        lines = [self.problem or self.summary]
        if self.licence:
            lines.append(_("Licence: {text}.").format(text=self.licence.rstrip(".")))
        if not self.isInstalled:
            size = _(" ({size:.1f} MB)").format(size=self.bytes / 1e6) if self.bytes else ""
            lines.append(_("Not on this computer yet{size}.").format(size=size))
        return "\n".join(filter(None, lines))


def _registry() -> ModuleType | None:
    """The library's list of models; None before its packages are installed, which Apply offers."""
    try:
        from SegSRGANLib.models import registry
    except ImportError:
        return None
    return registry


class Models:
    """registry: returns the library's list of models, or None while it cannot be read."""

    def __init__(self, registry: Callable[[], ModuleType | None] = _registry) -> None:
        self._registry = registry

    def choices(self) -> list[ModelChoice]:
        """Every model that can be picked by name, the default one first; that one alone while no list can be read."""
        registry = self._registry()
        if registry is None:
            text = _("The models are listed once the Python packages are installed.")
            return [ModelChoice("", _UNKNOWN_TITLE, text)]
        return [_choice(entry) for entry in registry.list_models()]

    def defaultKey(self) -> str:
        """The name of the default model; "" while it is not known."""
        registry, choices = self._registry(), self.choices()
        listed = {entry.name for entry in registry.listed_models()} if registry else set()
        return choices[0].key if choices and choices[0].key in listed else ""

    def canFindBrain(self) -> bool:
        """Whether this installation has a brain extractor, which finds the brain where no mask is chosen."""
        registry = self._registry()
        return bool(registry and registry.listed_brain_extractors(registry.models_folder()))

    def freeName(self, name: str, path: Path) -> str:
        """`name`, or with a number after it when another model than the file `path` is called so."""
        taken, number, free = [choice.key for choice in self.choices()], 1, name
        while free in taken and not self.isAdded(free, path):
            number += 1
            free = f"{name}-{number}"
        return free

    def isAdded(self, name: str | None, path: Path) -> bool:
        """Whether the user's model `name` is the same file as `path`."""
        registry = self._registry()
        if registry is None:
            return False
        own = registry.user_models_folder() / f"{name}.safetensors"
        return own.is_file() and own.read_bytes() == path.read_bytes()


def _choice(entry) -> ModelChoice:
    isOwn = not (entry.file or entry.url)
    return ModelChoice(
        key=entry.name,
        title=f"{entry.title} ({entry.name})" if isOwn else entry.title,
        summary=entry.summary or _sentences(entry.description),
        details="\n".join(filter(None, [entry.description, entry.training_data, entry.citation])),
        licence=entry.licence,
        bytes=entry.path.stat().st_size if entry.installed else entry.size or 0,
        classes=entry.classes,
        trainingSpacing=entry.training_spacing,
        trainingSlices=entry.training_slices,
        isInstalled=entry.installed,
        problem=entry.error,
    )


def _sentences(text: str, count: int = 2) -> str:
    """The first sentences of a longer text."""
    return " ".join(re.split(r"(?<=[.!?])\s+", text.strip())[:count])
