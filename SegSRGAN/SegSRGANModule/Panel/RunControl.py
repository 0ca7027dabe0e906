"""One run of a tab at a time, from the button to its end: packages, launch, progress, stop, close."""

from __future__ import annotations

import logging
from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Services import InstallsPackages
from .RunDisplay import RunDisplay


class RunControl:
    """The `run` of a tab, None between runs; `display` shows how it goes."""

    def __init__(self, display: RunDisplay, packages: InstallsPackages) -> None:
        self.display, self._packages = display, packages
        self.run: ChildProcess | None = None
        self._isStarting = False  # events are processed meanwhile: a second click may arrive before the run is there

    @property
    def isRunning(self) -> bool:
        return self._isStarting or (self.run is not None and self.run.isRunning)

    def launch(
        self,
        start: Callable[[], ChildProcess],
        packages: dict[str, str] | None = None,
        expected: float | None = None,
    ) -> str:
        """Begin a run of `expected` seconds, once its packages are there; returns what kept it from starting, or "".

        While another one starts or goes on, nothing happens.
        """
        if self.isRunning:
            return ""
        self._isStarting = True
        try:
            self.display.say(_("Looking for the Python packages..."))
            slicer.app.processEvents()
            self._packages.ensure(packages)
            self.display.started(expected)
            self.run = start()
        except Exception as error:  # whatever it is, the user reads it in the panel
            logging.exception("SegSRGAN could not start")
            self.display.failed(error)
            return str(error)
        finally:
            self._isStarting = False
        return ""

    def stop(self) -> None:
        self.display.stopping()
        if self.run is not None:
            self.run.cancel()

    def ended(self, outcome: Outcome, success: str) -> bool:
        """Say how a run ended; False when the tab was closed before: its widgets may be gone."""
        if self.run is None:
            return False
        self.run = None
        self.display.ended(outcome, success)
        return True

    def close(self) -> None:
        """End the run. The widgets may go before the child does, so they do not hear of it any more."""
        run, self.run = self.run, None
        if run is not None and run.isRunning:
            run.kill()
