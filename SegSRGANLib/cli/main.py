"""The command `segsrgan`. Importing this module loads neither torch nor the command-line packages."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..utils.errors import MissingPackage
from ..utils.optional import require


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exit status 0 on success, 1 on an error, 2 on wrong usage, 3 when cancelled.

    Args:
        arguments: of the command line; None for those of this process.
    """
    try:
        require("typer", extra="cli")
        require("rich", extra="cli")
    except MissingPackage as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    from .app import build

    build()(arguments)
