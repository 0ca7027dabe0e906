"""Optional packages: imported where they are used, with a sentence that says what to install when one is missing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from .errors import MissingPackage

# What each extra brings. The hints name these packages, never the distribution of this software: whoever runs it from
# a clone, from a wheel or inside 3D Slicer can install them, whatever index has this software or does not.
# "cli" and "report" are part of every installation by pip; a bare source tree may lack them.
EXTRAS: dict[str, tuple[str, ...]] = {
    "cli": ("typer", "rich", "matplotlib"),
    "report": ("matplotlib", "jinja2"),
    "train": ("lightning-fabric", "tensorboard", "pyyaml"),
    "keras": ("h5py",),
    "cluster": ("submitit",),
    "dicom": ("pydicom", "highdicom"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: dotted name, for example ``"matplotlib.pyplot"``.
        extra: a key of `EXTRAS`, the extra that brings it, for example ``"dicom"``.

    Returns:
        The imported module (for a dotted name the submodule itself).

    Raises:
        MissingPackage: the package, or one that it needs, is not installed. A package that is installed but fails
            to load (a broken system library) raises its own ``ImportError``, which says more than we could.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"The package '{error.name}' is needed here but not installed: run  {install_command(extra)}  "
            "and try again.",
            name=error.name,
        ) from error


def install_command(extra: str) -> str:
    """What to type, in the place where this runs, to get the packages of an extra.

    Args:
        extra: a key of `EXTRAS`.
    """
    packages = EXTRAS[extra]
    if "slicer" in sys.modules:  # the Python console of 3D Slicer has no shell
        return f'slicer.util.pip_install("{" ".join(packages)}")'
    if "pipx" in sys.prefix.replace("\\", "/").split("/"):
        return " ".join(("pipx inject segsrgan-torch", *packages))
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    if importlib.util.find_spec("pip") is None:  # environments made by uv have no pip
        return " ".join((f"uv pip install --python {python}", *packages))
    return " ".join((f"{python} -m pip install", *packages))
