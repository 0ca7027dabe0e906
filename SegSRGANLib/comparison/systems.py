"""The systems that are compared, by name.

A method makes a high-resolution volume out of thick slices, and a model may segment the cortex at the same time. A
segmenter needs a volume that somebody restored, and atlases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SPLINE, HR = "spline", "HR"
BAND_LIMITED = "band-limited"  # the truth without what slices of this thickness cannot carry: the yardstick
SEGMENTERS = ("majority", "imapa", "drawem")
ALL = "all"
_CONSISTENCY = "+consistency"
METHODS = (SPLINE, BAND_LIMITED, "srrecnn", "segsrgan-paper", "segsrgan", f"segsrgan{_CONSISTENCY}")  # of all
_PREFERRED = METHODS[:2:-1]  # whose volume the segmenters get, when it is there
_FOLD = "{fold}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Method:
    """The spline, the band-limited truth, or a model.

    name: as in the tables. model: its name in the list of models, or its file, in whose name {fold} stands for the
    volume's fold; "" where there is none. consistency: whether the result is made to agree with the scan, see
    `enforce_data_consistency`, and the tissues are refined by it, see `refinement.refine`; without it the network is
    alone.
    """

    name: str
    model: str = ""
    consistency: bool = False

    def of_fold(self, fold: str) -> str:
        """The model for volumes of a fold: the one that was not trained on them.

        Raises:
            ValueError: the file differs by fold, and the volume has none.
        """
        if _FOLD in self.model and not fold:
            raise ValueError(f"{self.model} has one file for each fold; say with --folds which folds are compared.")
        return self.model.replace(_FOLD, fold)


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
        text: names separated by commas: "all"; "spline"; "band-limited"; a model by its name in the list of models, or
            by "NAME=FILE", which also replaces a model of "all"; either with "+consistency" behind the name; "imapa",
            "drawem", "majority".

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
    if name != base and base == BAND_LIMITED:
        raise ValueError(f"{name!r}: the band-limited truth is a yardstick, and is not brought to agreement.")
    if equals and (base in (SPLINE, BAND_LIMITED, ALL, *SEGMENTERS) or not model):
        raise ValueError(f"{item!r} gives no model file to a name of its own; write it as in mine=FILE.safetensors.")
    return Method(name, "" if base in (SPLINE, BAND_LIMITED) else model or base, name != base)
