"""*All frames*: every frame of a sequence (4D) becomes a volume, and they are enhanced one after the other."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from ..Scene import Frames
from ..Scene.ResultNodes import isInScene


class AllFrames:
    """choose: makes a volume the input. apply: begins its run; returns whether it has begun."""

    def __init__(self, ui, choose: Callable[[object], None], apply: Callable[[], bool]) -> None:
        self._ui, self._choose, self._apply = ui, choose, apply
        self._volume = None
        self._left: list = []
        self._count = 0
        ui.allFramesButton.connect("clicked(bool)", self._onClicked)

    def show(self, volume, isRunning: bool) -> None:
        """The button is there for scans with several frames alone."""
        self._volume = volume
        self._ui.allFramesButton.visible = bool(volume and Frames.sequenceOf(volume)[0])
        self._ui.allFramesButton.enabled = not isRunning

    def ended(self, succeeded: bool) -> None:
        """A run has ended: the next frame's begins, unless it was cancelled or failed."""
        self._left = [node for node in self._left if isInScene(node)]  # one may have been deleted meanwhile
        if succeeded and self._left:
            self._next()
            return
        if succeeded and self._count:
            text = _("Done: {count} frames, each a volume with its own result.")
            self._ui.statusLabel.text = text.format(count=self._count)
        self._left, self._count = [], 0

    def _onClicked(self) -> None:
        self._left = Frames.copies(self._volume)
        self._count = len(self._left)
        self._next()

    def _next(self) -> None:
        self._choose(self._left.pop(0))
        if not self._apply():
            self._left, self._count = [], 0
