"""Work that coverage does not watch: packages of others, and tests whose lines other tests run too.

Up to Python 3.11 the tracer slows every Python line down by half, also those of packages it is not asked about.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator

import pytest

# What most test files import, the slow ones first.
_PACKAGES = (
    "torch",
    "torch._dynamo",
    "SimpleITK",
    "scipy.stats",
    "matplotlib.pyplot",
    "hypothesis",
    "typer",
    "pydicom",
)


def measuring() -> bool:
    """Whether coverage watches."""
    return _coverage() is not None


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Coverage looks away inside; without coverage nothing happens. Not to be nested."""
    coverage = _coverage()
    if coverage is None:
        yield
        return
    coverage.stop()
    try:
        yield
    finally:
        coverage.start()


def import_packages() -> None:
    """Import what is installed of the packages that most tests need."""
    for name in _PACKAGES:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)


@pytest.fixture
def exporter_untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's exporter, which is Python all through, runs without coverage."""
    import torch

    export = torch.onnx.export

    def quickly(*arguments, **named):
        with untraced():
            return export(*arguments, **named)

    monkeypatch.setattr(torch.onnx, "export", quickly)


def _coverage():
    try:
        from coverage import Coverage
    except ImportError:
        return None
    return Coverage.current()
