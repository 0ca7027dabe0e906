"""SegSRGAN: joint super-resolution and cortical segmentation of neonatal brain MRI.

Importing this package has no effects and does not load torch; `load_model` and `enhance`
are imported when they are first used.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["EnhanceOptions", "Enhancement", "enhance", "load_model"]

_LAZY = {
    "EnhanceOptions": "inference.pipeline",
    "Enhancement": "inference.pipeline",
    "enhance": "inference.pipeline",
    "load_model": "models.registry",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use (PEP 562).

    Raises:
        AttributeError: for any other name.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
