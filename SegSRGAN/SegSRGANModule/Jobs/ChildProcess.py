"""One run of `python -m SegSRGANLib` in a process of its own, watched from the GUI thread.

Slicer stays alive while it computes, a crash of it cannot take Slicer along, and when it has ended all of its memory,
also that of the GPU, is free again. The child prints one JSON object a line; what else it prints are details.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

CANCELLED_STATUS = 3
_LAUNCHER = Path(__file__).with_name("ChildLauncher.py")
PHANTOM = Path(__file__).with_name("PhantomChild.py")


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `error` is one sentence, or "" after success; `details` is all that the child printed."""

    succeeded: bool
    cancelled: bool
    error: str
    details: str


@dataclass
class ChildProcess:
    """A command of the library in a child process of Slicer's own Python.

    arguments: of `segsrgan`, for instance ["predict", "in.nrrd", "-o", "out"].
    onProgress: called with each JSON object that the child prints.
    onCompleted: called once with the `Outcome`, in the GUI thread.
    stopsOnRequest: whether the command knows `--cancel-file`; a short one that does not is ended at once on cancel.
    graceMilliseconds: from the request to stop to the end of the child, when it does not stop by itself.
    script: what the child runs; the command line of the library, or `PHANTOM`.
    """

    arguments: list[str]
    onCompleted: Callable[[Outcome], None]
    onProgress: Callable[[dict], None] = lambda message: None
    stopsOnRequest: bool = True
    graceMilliseconds: int = 60_000
    script: Path = _LAUNCHER
    isRunning: bool = False
    _lines: list[str] = field(default_factory=list)
    _process: Any = None
    _pid: int | None = None
    _cancelRequested: bool = False

    def start(self) -> ChildProcess:
        """Launch the child and return at once.

        Raises:
            OSError: the process cannot be started.
        """
        handle, name = tempfile.mkstemp(prefix="segsrgan-cancel-", dir=slicer.app.temporaryPath)
        os.close(handle)
        self._cancelFile = Path(name)
        self._cancelFile.unlink()
        self.isRunning = True
        watched = ["--cancel-file", str(self._cancelFile)] if self.stopsOnRequest else []
        self._process = slicer.util.launchConsoleProcess(
            [*command(self.script), *self.arguments, "--progress", "json", *watched],
            useStartupEnvironment=False,
            updateEnvironment={"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            blocking=False,
            logCallback=self._onLine,
            completedCallback=self._onExit,
        )
        return self

    def cancel(self) -> None:
        """Ask the child to stop within one patch or step, and end it if it does not."""
        if self.isRunning and not self._cancelRequested:
            self._cancelRequested = True
            self._cancelFile.touch()
            qt.QTimer.singleShot(self.graceMilliseconds if self.stopsOnRequest else 0, self.kill)

    def kill(self) -> None:
        """End the child at once: the computing process itself first, then the launcher that Slicer knows."""
        if not self.isRunning:
            return
        self._cancelRequested = True
        if self._pid is not None:
            try:
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            except OSError as error:  # it ended just now
                logging.debug("SegSRGAN child %s: %s", self._pid, error)
        self._process.kill()

    def wait(self) -> None:
        """Return when the child has ended; the GUI stays alive meanwhile."""
        while self.isRunning:
            slicer.app.processEvents()
            time.sleep(0.02)

    def _onLine(self, line: str) -> None:
        message = _asObject(line)
        if message is None:
            self._lines.append(line)
        elif "pid" in message:
            self._pid = message["pid"]
        elif not self._cancelRequested:
            self.onProgress(message)

    def _onExit(self, status: int) -> None:
        self.isRunning = False
        self._cancelFile.unlink(missing_ok=True)
        cancelled = self._cancelRequested or status == CANCELLED_STATUS
        succeeded = status == 0 and not cancelled
        error = "" if succeeded or cancelled else _sentence(self._lines, status)
        self.onCompleted(Outcome(succeeded, cancelled, error, "\n".join(self._lines)))


def command(script: Path = _LAUNCHER) -> list[str]:
    """The command that runs the library, or another script, in Slicer's own Python."""
    python = shutil.which("PythonSlicer") or sys.executable
    return [python, str(script)]


def _asObject(line: str) -> dict | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _sentence(lines: list[str], status: int) -> str:
    """The library's own sentence if it gave one; a PyTorch that cannot be loaded is told from one that is missing."""
    for line in reversed(lines):
        if line.startswith("Error: "):
            return line.removeprefix("Error: ")
    text = "\n".join(lines)
    if "import torch" in text and re.search(r"^(ImportError|OSError|ModuleNotFoundError)", text, re.MULTILINE):
        return _(
            "PyTorch is installed but cannot be loaded: uninstall it with the module PyTorch Util, restart Slicer, and "
            "press the button again."
        )
    return _("The computation ended unexpectedly (status {status}); the details say more.").format(status=status)
