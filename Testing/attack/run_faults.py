"""Run every fault against the real command, and print the table of docs/reliability.md.

    python Testing/attack/run_faults.py [WORD]

WORD runs only the faults whose title holds it. Exit status 1 when a row is not as it must be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from textwrap import shorten
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]  # the tests' support, the library

_LONGEST = 130  # characters
_USUAL = "does not hold a whole brain"  # a warning about the small volumes of the faults


def _row(outcome: Any, root: str) -> str:
    """A row of the table, without what differs from run to run, and with the beginning of a long sentence."""
    said = (
        " ".join(line for line in outcome.said.splitlines() if _USUAL not in line)
        .replace(root, "")
        .replace(root.rstrip("/"), "FOLDER")
    )
    said = shorten(said.removeprefix("Error: ").replace("|", "\\|"), _LONGEST, placeholder=" ...")
    what = " ".join(["refused:" if outcome.fault.status else "read;" if said else "read right", said]).strip()
    wrong = f" **WRONG: {'; '.join(outcome.wrong)}**" if outcome.wrong else ""
    return f"| {outcome.fault.title} | {what}{wrong} |\n"


def main() -> int:
    from support.faults.all import FAULTS
    from support.faults.table import Scene, attempt, save_neutral_model

    word, failures, count = " ".join(sys.argv[1:]), 0, 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        model = save_neutral_model(Path(root) / "neutral.safetensors")
        sys.stdout.write("| fault | what happens |\n|---|---|\n")
        for fault in FAULTS:
            if word not in f"{fault.make.__module__} {fault.title}":
                continue
            count += 1
            folder = Path(root) / f"{count:03}"
            folder.mkdir()
            outcome = attempt(fault, Scene(folder, model))
            sys.stdout.write(_row(outcome, f"{folder}/"))
            sys.stdout.flush()
            failures += bool(outcome.wrong)
    sys.stderr.write(f"{count} faults, {failures} not as they must be, {time.monotonic() - start:.0f} s\n")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
