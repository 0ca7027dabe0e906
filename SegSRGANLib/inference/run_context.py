"""What the stages of one run share: progress, cancellation and the clock."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..utils.progress import Progress, ShouldStop, stop_if


@dataclass(frozen=True)
class RunContext:
    """report: the progress callback. should_stop: asked before every step. seconds: of the steps done, by name."""

    report: Progress
    should_stop: ShouldStop | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def step(self, name: str) -> Generator[None]:
        """Time the block.

        Raises:
            Cancelled: should_stop said so.
        """
        stop_if(self.should_stop)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def finish(self) -> None:
        """Note the seconds of everything."""
        self.seconds["total"] = time.perf_counter() - self.started
