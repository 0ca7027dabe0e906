"""Public names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def exported(package: str, names: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], list[str]]:
    """The functions that make a package export names out of its modules.

    So a package can be imported without torch, and its modules without each other.

    Args:
        package: its `__name__`. names: the public names of each of its modules, for instance {"grid": ["Grid"]}.

    Returns:
        What the package calls `__getattr__` and `__all__`.
    """
    places = {name: module for module, public in names.items() for name in public}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return get, sorted(places)
