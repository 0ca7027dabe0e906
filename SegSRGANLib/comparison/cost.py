"""What a system costs: seconds, and memory on top of what was held before it began."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..utils.memory import return_freed_memory

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Cost:
    """seconds: of computing. memory: MiB, the most that was held at a time; None where the system does not say."""

    seconds: float = 0.0
    memory: float | None = 0.0

    def then(self, other: Cost) -> Cost:
        """The cost of both, one after the other."""
        unknown = self.memory is None or other.memory is None
        return Cost(self.seconds + other.seconds, None if unknown else max(self.memory, other.memory))  # type: ignore[type-var]


class Meter:
    """Measures the block under it; `cost` holds the result. Memory only on Linux, whose kernel counts it.

    On the CPU the seconds are this process's own, whatever else the machine does; on a GPU they are the clock's.
    """

    cost = Cost()

    def __init__(self, device: str = "cpu") -> None:
        """Choose the clock."""
        self._clock = time.process_time if device == "cpu" else time.perf_counter

    def __enter__(self) -> Meter:
        """Give free memory back to the system, so that only new one counts."""
        gc.collect()
        return_freed_memory()
        with suppress(OSError):
            _RESET.write_text("5")  # the kernel forgets the largest size so far
        self._held = _resident("VmRSS")
        self._start = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the time and the largest size."""
        seconds, most = self._clock() - self._start, _resident("VmHWM")
        known = self._held is not None and most is not None
        self.cost = Cost(seconds, max(0.0, most - self._held) if known else None)  # type: ignore[operator]


def _resident(name: str) -> float | None:
    """A size of this process in MiB, as the Linux kernel lists it."""
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return None
