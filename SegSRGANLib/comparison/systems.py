"""The systems that are compared, by name.

A method makes a high-resolution volume out of thick slices, and a model may segment the cortex at the same time. A
segmenter needs a volume that somebody restored, and atlases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SPLINE, HR = "spline", "HR"
SEGMENTERS = ("majority", "imapa", "drawem")
ALL = "all"
_CONSISTENCY = "+consistency"
METHODS = (SPLINE, "srrecnn", "segsrgan-paper", "segsrgan", f"segsrgan{_CONSISTENCY}")  # of all
_PREFERRED = METHODS[:1:-1]  # whose volume the segmenters get, when it is there
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Method:
    """The spline, or a model.

    name: as in the tables. model: its name in the list of models, or its file; "" for the spline. consistency: whether
    the result is made to agree with the scan, see `enforce_data_consistency`.
    """

    name: str
    model: str = ""
    consistency: bool = False


@dataclass(frozen=True)
class Systems:
    """What to compare, in the order of the tables."""

    methods: tuple[Method, ...]
    segmenters: tuple[str, ...]

    @property
    def best(self) -> str | None:
        """The model whose volume the segmenters get: SegSRGAN if it is there, else the last one; None without any."""
        models = [method.name for method in self.methods if method.model]
        return next((name for name in _PREFERRED if name in models), models[-1] if models else None)


def parse_systems(text: str) -> Systems:
    """Read what a user wants to compare.

    Args:
        text: names separated by commas: "all"; "spline"; a model by its name in the list of models, or by "NAME=FILE",
            which also replaces a model of "all"; either with "+consistency" behind the name; "imapa", "drawem",
            "majority".

    Raises:
        ValueError: nothing, or a name that cannot be one.
    """
    methods: dict[str, Method] = {}
    segmenters: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        if item == ALL:
            methods = {name: _method(name) for name in METHODS} | methods
            segmenters += [name for name in SEGMENTERS if name not in segmenters]
        elif item in SEGMENTERS:
            segmenters += [item] if item not in segmenters else []
        else:
            method = _method(item)
            methods[method.name] = method
    if not methods and not segmenters:
        raise ValueError(f"There is no system to compare in {text!r}; try --systems all.")
    return Systems(tuple(methods.values()), tuple(segmenters))


def _method(item: str) -> Method:
    name, equals, model = item.partition("=")
    base = name.removesuffix(_CONSISTENCY)
    if not _NAME.fullmatch(base) or base == HR:
        raise ValueError(f"{name!r} cannot name a system; use letters, digits, '-', '_' and '.', as in mine=FILE.")
    if equals and (base in (SPLINE, ALL, *SEGMENTERS) or not model):
        raise ValueError(f"{item!r} gives no model file to a name of its own; write it as in mine=FILE.safetensors.")
    return Method(name, "" if base == SPLINE else model or base, name != base)
