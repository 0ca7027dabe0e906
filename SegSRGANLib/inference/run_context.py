"""What the stages of one run share: progress, cancellation and the clock."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..utils.progress import Progress, ShouldStop, scaled, stop_if


@dataclass
class RunContext:
    """progress: the callback of the whole run. should_stop: asked before every step. expected: seconds of all steps, by
    name, in their order; steps that are not in it do not move the bar. seconds: of the steps done."""

    progress: Progress | None = None
    should_stop: ShouldStop | None = None
    expected: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    _done: float = 0.0
    _next: float = 0.0

    def report(self, fraction: float, message: str) -> None:
        """Report the progress of the step that is being done, 0 to 1: its part of the bar is its part of the time."""
        scaled(self.progress, self._done, self._next)(fraction, message)

    @contextmanager
    def step(self, name: str) -> Generator[None]:
        """Time the block.

        Raises:
            Cancelled: should_stop said so.
        """
        stop_if(self.should_stop)
        start = time.perf_counter()
        self._next = self._end_of(name)
        yield
        self._done = self._next
        self.seconds[name] = time.perf_counter() - start

    def finish(self) -> None:
        """Note the seconds of everything."""
        self.seconds["total"] = time.perf_counter() - self.started
        self._done = self._next = 1.0

    def _end_of(self, name: str) -> float:
        """Where on the bar a step will end: what is left is divided among the steps from it on."""
        names = list(self.expected)
        if name not in names:
            return self._done
        left = [self.expected[later] for later in names[names.index(name) :]]
        return self._done + (1 - self._done) * (left[0] / sum(left) if sum(left) > 0 else 1 / len(left))
