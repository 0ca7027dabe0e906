"""Progress bar, remaining time, status sentence and details of a run: the same in every tab."""

from __future__ import annotations

import time

import qt
from slicer.i18n import tr as _

from ..Jobs.ChildProcess import Outcome
from ..Preflight import words

_MAXIMUM = 1000
_TICK_MILLISECONDS = 500
_TRUSTED = (0.1, 0.9)  # shares done between which the child's own estimate holds; its first and last steps are uneven
_MOST_ALONE = 0.95  # the bar does not go further by time alone


class RunDisplay:
    """Shows how a run goes; the widgets are those of one tab."""

    def __init__(self, progressBar, statusLabel, detailsButton, detailsText) -> None:
        self._bar, self._status = progressBar, statusLabel
        self._detailsButton, self._details = detailsButton, detailsText
        self._bar.maximum = _MAXIMUM
        self._detailsButton.connect("toggled(bool)", self._showDetails)
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MILLISECONDS)
        self._timer.connect("timeout()", self._tick)
        self._expected: float | None = None
        self._heard: float | None = None  # when the child said something first; before, it loads its packages
        self._fraction, self._left = 0.0, None  # as the child said, and the time at which it will be done
        self.idle()

    def idle(self) -> None:
        self._timer.stop()
        self._bar.visible = False
        self._status.text = ""
        self._setDetails("")

    def started(self, expected: float | None = None) -> None:
        """expected: seconds that the run will take, from earlier ones; None when that is not known."""
        self.idle()
        self._expected, self._heard = expected, None
        self._fraction, self._left = 0.0, None
        self._bar.visible = True
        self._bar.value = 0
        self._bar.format = "%p%"
        self._status.text = _("Starting...")
        self._tick()
        self._timer.start()

    def progress(self, message: dict) -> None:
        """Show a line of the child: {"fraction", "message", "remaining"}."""
        self._heard = self._heard or time.monotonic()
        if "fraction" in message:
            self._fraction = min(max(float(message["fraction"]), 0.0), 1.0)
        remaining = message.get("remaining")
        isTrusted = remaining is not None and _TRUSTED[0] <= self._fraction <= _TRUSTED[1]
        self._left = time.monotonic() + float(remaining) if isTrusted else None
        if message.get("message"):
            self._status.text = message["message"]
        self._tick()

    def say(self, sentence: str) -> None:
        self._status.text = sentence

    def stopping(self) -> None:
        self._status.text = _("Stopping...")

    def ended(self, outcome: Outcome, success: str) -> None:
        """One sentence; after an error the details are at hand."""
        self._timer.stop()
        self._bar.visible = False
        cancelled = _("Cancelled; nothing was changed.")
        self._status.text = success if outcome.succeeded else cancelled if outcome.cancelled else outcome.error
        self._setDetails("" if outcome.cancelled else outcome.details)

    def failed(self, error: Exception) -> None:
        """The run could not be started."""
        self._timer.stop()
        self._bar.visible = False
        self._status.text = str(error)
        self._setDetails("")

    def _tick(self) -> None:
        """The bar never goes back, and moves on between two lines of the child when the duration is known."""
        elapsed = time.monotonic() - self._heard if self._heard else 0.0
        byTime = min(_MOST_ALONE, elapsed / self._expected) if self._expected else 0.0
        self._bar.value = max(self._bar.value, round(_MAXIMUM * max(self._fraction, byTime)))
        left = self._remaining(elapsed)
        if left is None:
            self._bar.format = "%p%"
        elif left > 1.0:
            self._bar.format = _("%p%, about {time} left").format(time=words(left))
        else:
            self._bar.format = _("%p%, finishing")

    def _remaining(self, elapsed: float) -> float | None:
        if self._left is not None:
            return self._left - time.monotonic()
        return None if self._expected is None else self._expected - elapsed

    def _setDetails(self, text: str) -> None:
        self._details.setPlainText(text)
        self._detailsButton.visible = bool(text)
        self._detailsButton.checked = False
        self._showDetails(False)

    def _showDetails(self, shown: bool) -> None:
        self._details.visible = shown
        self._detailsButton.text = _("Hide details") if shown else _("Show details")
