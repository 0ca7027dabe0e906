"""Progress, cancellation and errors of a command, for a person or for a parent process.

A person sees a bar with the remaining time and presses Ctrl-C. A parent process (the Slicer panel) reads one JSON
object a line and creates a file to cancel.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..utils.duration import in_words
from ..utils.errors import Cancelled, MissingPackage
from ..utils.optional import require
from ..utils.progress import Progress, ShouldStop

ERROR, CANCELLED = 1, 3  # exit statuses, beside 0 (success) and 2 (usage)
_SOON = 5.0  # s: estimates of less say nothing
_SECONDS_BETWEEN_LINES = 30.0  # in a log file, which cannot show a moving bar


@contextmanager
def reported(mode: str, cancel_file: Path | None = None) -> Generator[tuple[Progress, ShouldStop]]:
    """Callbacks for long work: show its progress, and stop it on Ctrl-C or when the cancel file appears.

    Args:
        mode: "bar" (a bar on stderr, or a line now and then where stderr is a file), "json" (one object a line on
            stdout) or "none".
        cancel_file: optional path.

    Raises:
        ValueError: an unknown mode.
    """
    shows = {"bar": _bar, "json": _json_lines, "none": _silent}
    if mode not in shows:
        raise ValueError(f"Unknown progress display {mode!r}; use {', '.join(shows)}.")
    interrupted: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    try:
        with shows[mode]() as progress:
            yield progress, lambda: bool(interrupted) or (cancel_file is not None and cancel_file.exists())
    finally:
        signal.signal(signal.SIGINT, previous)


def emit(mode: str, **values: Any) -> None:
    """Write one JSON object to the parent process; nothing in the other modes."""
    if mode == "json":
        print(json.dumps(values), flush=True)


def run_guarded(command: Callable[[], Any], debug: bool) -> int:
    """Run a command and turn what goes wrong into one sentence and an exit status.

    Args:
        command: the work.
        debug: show the whole trace as well.

    Returns:
        0 on success, 1 on an error, 3 when cancelled.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        command()
    except Cancelled:
        print("Cancelled; nothing was written.", file=sys.stderr)
        return CANCELLED
    except (ValueError, OSError, MissingPackage, MemoryError, RuntimeError) as error:
        if debug:
            traceback.print_exc()
        print(f"Error: {_sentence(error)}", file=sys.stderr)
        return ERROR
    return 0


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r"^Exception thrown in SimpleITK .*\.[ch]xx:\d+: (ITK ERROR: )?", "", text)  # a place in its source
    if isinstance(error, MemoryError) and text.endswith("."):  # a sentence of our own
        return text
    # torch and ITK have only words for it; sentences of our own may hold these words in the name of a file
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc" in text.lower()):
        return f"There is not enough memory for this volume at this spacing; try a smaller --patch ({text})."
    return text


@contextmanager
def _bar() -> Generator[Progress]:
    rich = require("rich.progress", extra="cli")
    console = require("rich.console", extra="cli").Console(stderr=True)
    if not console.is_terminal:
        yield _log_lines()
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with rich.Progress(*columns, console=console) as bar:
        task = bar.add_task("Starting", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)


def _log_lines() -> Progress:
    started = said = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            left = _remaining(said - started, fraction)
            print(f"{fraction:4.0%} {message}" + ("" if left is None else f", {_left(left)}"), file=sys.stderr)

    return progress


@contextmanager
def _json_lines() -> Generator[Progress]:
    started = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        remaining = _remaining(time.monotonic() - started, fraction)
        emit("json", fraction=round(fraction, 4), message=message, remaining=remaining)

    yield progress


def _remaining(elapsed: float, fraction: float) -> float | None:
    """Seconds, or None while too little is done to tell."""
    return round(elapsed * (1 - fraction) / fraction, 1) if fraction > 0.02 else None


def _left(seconds: float) -> str:
    return f"about {in_words(seconds)} left" if seconds >= _SOON else "nearly done"


@contextmanager
def _silent() -> Generator[Progress]:
    yield lambda fraction, message: None
