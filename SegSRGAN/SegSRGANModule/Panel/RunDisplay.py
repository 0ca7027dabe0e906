"""Progress bar, remaining time, status sentence and details of a run: the same in the Enhance and Training tabs."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Preflight import words

_MAXIMUM = 1000


class RunDisplay:
    """Shows how a run goes; the widgets are those of one tab."""

    def __init__(self, progressBar, statusLabel, detailsButton, detailsText) -> None:
        self._bar, self._status = progressBar, statusLabel
        self._detailsButton, self._details = detailsButton, detailsText
        self._bar.maximum = _MAXIMUM
        self._detailsButton.connect("toggled(bool)", self._showDetails)
        self.idle()

    def idle(self) -> None:
        self._bar.visible = False
        self._status.text = ""
        self._setDetails("")

    def started(self) -> None:
        self.idle()
        self._bar.visible = True
        self._bar.value = 0
        self._bar.format = "%p%"
        self._status.text = _("Starting...")

    def progress(self, message: dict) -> None:
        """Show a line of the child: {"fraction", "message", "remaining"}."""
        if "fraction" in message:
            self._bar.value = round(_MAXIMUM * min(max(float(message["fraction"]), 0.0), 1.0))
        remaining = message.get("remaining")
        if remaining is not None:
            self._bar.format = _("%p%, about {time} left").format(time=words(float(remaining)))
        if message.get("message"):
            self._status.text = message["message"]

    def stopping(self) -> None:
        self._status.text = _("Stopping...")

    def ended(self, outcome: Outcome, success: str) -> None:
        """One sentence; after an error the details are at hand."""
        self._bar.visible = False
        cancelled = _("Cancelled; nothing was changed.")
        self._status.text = success if outcome.succeeded else cancelled if outcome.cancelled else outcome.error
        self._setDetails("" if outcome.cancelled else outcome.details)

    def failed(self, error: Exception) -> None:
        """The run could not be started."""
        self._bar.visible = False
        self._status.text = str(error)
        self._setDetails("")

    def _setDetails(self, text: str) -> None:
        self._details.setPlainText(text)
        self._detailsButton.visible = bool(text)
        self._detailsButton.checked = False
        self._showDetails(False)

    def _showDetails(self, shown: bool) -> None:
        self._details.visible = shown
        self._detailsButton.text = _("Hide details") if shown else _("Show details")


def isRunning(run: ChildProcess | None) -> bool:
    return run is not None and run.isRunning
