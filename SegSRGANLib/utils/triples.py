"""Three values, one for each axis, as the type checker knows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def triple(values: Iterable[T]) -> tuple[T, T, T]:
    """Three values as a tuple of known length; ValueError for more or fewer."""
    x, y, z = values
    return x, y, z
