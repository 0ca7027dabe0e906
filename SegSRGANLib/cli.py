"""The command `segsrgan`. Importing this module loads neither torch nor the command-line packages."""

from __future__ import annotations

import sys

from .optional import MissingPackage, require


def main() -> None:
    """Run the command; exit status 0 on success, 1 on an error, 2 on wrong usage, 3 when cancelled."""
    try:
        require("typer", extra="cli")
        require("rich", extra="cli")
    except MissingPackage as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    from .commands import build

    build()()
