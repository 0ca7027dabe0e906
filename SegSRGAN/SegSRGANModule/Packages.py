"""PyTorch and the few small packages of the library: asked for when they are needed, never fetched silently."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"
# import name -> requirement; numpy, scipy and SimpleITK are Slicer's own and never reinstalled
_SMALL = {
    "safetensors": "safetensors>=0.4",
    "typer": "typer>=0.12",
    "rich": "rich>=13",
    "matplotlib": "matplotlib>=3.7",
    "jinja2": "jinja2>=3.1",
}
FOR_TRAINING = {"lightning_fabric": "lightning-fabric>=2.2"}
FOR_IMPORT = {"h5py": "h5py>=3.8"}
FOR_DICOM = {"highdicom": "highdicom>=0.28"}


class PackagesError(RuntimeError):
    """Something is missing; the message says in one sentence what to do."""


class Packages:
    """find: tells whether a package is there, as `importlib.util.find_spec` does. version: returns its version."""

    def __init__(
        self,
        find: Callable[[str], Any] = importlib.util.find_spec,
        version: Callable[[str], str] = importlib.metadata.version,
    ) -> None:
        self._find, self._version = find, version

    def isTorchInstalled(self) -> bool:
        return self._isInstalled("torch")

    def ensure(self, more: dict[str, str] | None = None) -> None:
        """Make sure that the library can run; asks the user before anything is downloaded.

        Args:
            more: packages beside those of enhancement, import name -> requirement: `FOR_TRAINING`, `FOR_IMPORT`,
                `FOR_DICOM`.

        Raises:
            PackagesError: PyTorch or a package is missing, and was not installed.
        """
        if not self.isTorchInstalled():
            _installTorch()
        elif tooOld := self._tooOldTorch():
            message = _("PyTorch {found} is too old, {wanted} is needed: update it with the module PyTorch Util.")
            raise PackagesError(message.format(found=tooOld, wanted=TORCH_REQUIREMENT))
        wanted = {**_SMALL, **(more or {})}
        missing = {name: requirement for name, requirement in wanted.items() if not self._isInstalled(name)}
        if not missing:
            return
        _installSmall(list(missing.values()))
        importlib.invalidate_caches()
        if not all(self._isInstalled(name) for name in missing):
            names = ", ".join(missing.values())
            raise PackagesError(_("The Python packages {names} were not installed.").format(names=names))

    def _tooOldTorch(self) -> str:
        """The version of an installed PyTorch that the library cannot use, or "". PyTorch is not loaded for it."""
        try:
            found = self._version("torch")
        except importlib.metadata.PackageNotFoundError:
            return ""
        numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
        wanted = tuple(int(part) for part in re.findall(r"\d+", TORCH_REQUIREMENT)[:2])
        return found if numbers < wanted else ""

    def _isInstalled(self, name: str) -> bool:
        return self._find(name) is not None


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError:
        message = _(
            "PyTorch is not installed: install the extension PyTorch in the Extensions Manager, restart Slicer, "
            "and try again."
        )
        raise PackagesError(message) from None
    logic = PyTorchUtils.PyTorchUtilsLogic()
    if logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is None:
        raise PackagesError(_("PyTorch was not installed, so nothing was computed."))


def _installSmall(requirements: list[str]) -> None:
    try:
        from packaging.requirements import Requirement
        from slicer.packaging import pip_ensure
    except ImportError:  # a Slicer without it
        names = ", ".join(requirements)
        question = _("SegSRGAN needs the Python packages {names}. Install them now?").format(names=names)
        if slicer.util.confirmOkCancelDisplay(question):
            slicer.util.pip_install(requirements)
    else:
        pip_ensure([Requirement(requirement) for requirement in requirements], requester="SegSRGAN")
