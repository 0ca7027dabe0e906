"""Frozen dataclasses from JSON or YAML values, with one clear sentence when something does not fit."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def build(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass from a mapping; nested mappings become nested dataclasses.

    Args:
        kind: a dataclass whose fields are bool, int, float, str, tuples of these, dict[str, ...], dataclasses, or
            optional.
        values: from a file; missing keys keep their defaults.
        where: the key that `values` stands under, for the messages.

    Raises:
        ValueError: an unknown key, or a value of another type, by name.
    """
    known = {item.name for item in fields(kind)}  # ty: ignore[invalid-argument-type]  # a dataclass
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}."
            raise ValueError(f"Unknown key {where}{key} in the configuration; {hint}")
    hints = get_type_hints(kind)
    try:
        return kind(**{key: _convert(hints[key], value, f"{where}{key}") for key, value in values.items()})
    except TypeError as error:
        raise ValueError(f"The configuration lacks a key: {error}.") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both have a value the second wins."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        return _convert(next(k for k in get_args(kind) if k is not type(None)), value, where)
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} holds a group of keys, not {value!r}.")
        return build(kind, value, f"{where}.")
    if origin is tuple:
        return _convert_tuple(get_args(kind), value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} holds a group of keys, not {value!r}.")
        item = get_args(kind)[1]
        return {str(k): v if item is Any else _convert(item, v, f"{where}.{k}") for k, v in value.items()}
    return _convert_scalar(kind, value, where)


def _convert_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    open_ended = len(kinds) == 2 and kinds[1] is Ellipsis
    if open_ended and not isinstance(value, (list, tuple)):
        value = [value]
    if not isinstance(value, (list, tuple)) or (not open_ended and len(value) != len(kinds)):
        raise ValueError(f"{where} needs a list of {'values' if open_ended else len(kinds)}, not {value!r}.")
    wanted = [kinds[0]] * len(value) if open_ended else kinds
    return tuple(_convert(k, v, where) for k, v in zip(wanted, value, strict=True))


def _convert_scalar(kind: type, value: Any, where: str) -> Any:
    names: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if kind is float and isinstance(value, str):  # YAML reads 1e-4 (without a dot) as a text
        with suppress(ValueError):
            value = float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{where} must be {names[kind]}, not {value!r}.")
    if kind is float and not abs(value) < float("inf"):
        raise ValueError(f"{where} must be a finite number, not {value!r}.")
    return value
