"""Coverage does not watch the tests of the module: it measures the library, whose lines have tests of their own."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; the hook is given those of the others too."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.untraced)
