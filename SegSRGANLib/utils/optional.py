"""Optional packages: imported where they are used, with a sentence that says what to install when one is missing."""

import importlib
from types import ModuleType

from .errors import MissingPackage


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: dotted name, for example ``"matplotlib.pyplot"``.
        extra: the extra of the ``segsrganlib`` distribution that brings it, for example ``"report"``.

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
            f"The package '{error.name}' is needed here but not installed: "
            f'run  pip install "segsrganlib[{extra}]"  and try again.',
            name=error.name,
        ) from error
