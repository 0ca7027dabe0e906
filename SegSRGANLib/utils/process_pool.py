"""Jobs in worker processes that are prepared once each. A worker that dies takes only its job with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from .progress import Progress, ShouldStop, scaled

DONE, SKIPPED, FAILED, BUSY, CANCELLED = "done", "skipped", "failed", "busy", "cancelled"
_POLL = 0.2  # s between two looks at whether to stop

Job = TypeVar("Job")


@dataclass(frozen=True)
class Outcome(Generic[Job]):
    """How a job ended: DONE, SKIPPED (its result was there), FAILED, BUSY (another process has it) or CANCELLED."""

    job: Job
    status: str
    reason: str = ""
    seconds: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)


Do = Callable[[Any, Progress, ShouldStop], Outcome]  # one job; it reports its own progress, from 0 to 1
Prepare = Callable[[int, int], Do]  # called in a worker with its number and the number of workers


def run_pool(
    jobs: list[Any],
    prepare: Prepare,
    workers: int,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Iterator[Outcome]:
    """Do jobs in processes of their own, so that not even a crash stops the others.

    Args:
        jobs: each is given to one worker, once. workers: processes at a time.
        prepare: makes a worker ready, and gives what does a job there; it and the jobs can be pickled.
        progress: called with the share of all jobs. should_stop: asked all the time; jobs not begun end as CANCELLED.

    Yields:
        Outcomes as they come.
    """
    context = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
    stop = context.Event()
    waiting, pool, finished = deque(jobs), [], 0
    report = scaled(progress, 0, 1)
    try:
        while waiting or any(worker.job for worker in pool):
            if should_stop is not None and should_stop():
                stop.set()
                yield from (Outcome(job, CANCELLED, "not begun") for job in waiting)
                waiting.clear()
            if waiting and len(pool) < workers:
                pool.append(_Worker(context, len(pool), workers, prepare, stop))
            _dispatch(waiting, pool)
            for outcome in _listen(pool):
                finished += outcome.status != BUSY  # it comes again
                yield outcome
            share = sum(worker.fraction for worker in pool if worker.job is not None)
            report((finished + share) / len(jobs), f"{finished} of {len(jobs)} volumes")
    finally:
        stop.set()
        for worker in pool:
            worker.end()


def _dispatch(waiting: deque[Any], pool: list[_Worker]) -> None:
    """A job to every idle worker; a dead one is replaced first."""
    for k, worker in enumerate(pool):
        if worker.job is None and waiting:
            pool[k] = worker if worker.alive else worker.successor()
            pool[k].give(waiting.popleft())


def _listen(pool: list[_Worker]) -> list[Outcome]:
    """What the busy workers say within a moment."""
    busy = {worker.connection: worker for worker in pool if worker.job is not None}
    messages = [busy[ready].listen() for ready in wait(list(busy), _POLL)] if busy else []
    return [outcome for outcome in messages if outcome is not None]


class _Worker:
    """The parent's end of a worker process: which job it has, and how far it is."""

    def __init__(self, context: Any, number: int, workers: int, prepare: Prepare, stop: Any) -> None:
        self._arguments = context, number, workers, prepare, stop
        self.number = number
        self.job: Any = None
        self.fraction = 0.0
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, number, workers, prepare, stop), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def successor(self) -> _Worker:
        """A new process in the place of a dead one."""
        return _Worker(*self._arguments)

    def give(self, job: Any) -> None:
        self.job, self.fraction = job, 0.0
        with suppress(OSError):  # it died idle: `listen` will find the end of the connection
            self.connection.send(job)

    def listen(self) -> Outcome | None:
        """Take one message: progress, or the outcome of the job."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            message = Outcome(self.job, FAILED, _why_ended(self._process.exitcode))
        if isinstance(message, float):
            self.fraction = message
            return None
        self.job = None
        return message

    def end(self) -> None:
        self.connection.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _why_ended(status: int | None) -> str:
    if status is not None and status < 0:
        return f"its process was ended by {signal.Signals(-status).name} (killed, or out of memory)"
    return f"its process ended with status {status}"


def _prepared(prepare: Prepare, number: int, workers: int) -> Do:
    """What does a job; where nothing can (a GPU without memory for the model), what says why."""
    try:
        return prepare(number, workers)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return lambda job, progress, should_stop: Outcome(job, FAILED, reason)


def _serve(connection: Connection, number: int, workers: int, prepare: Prepare, stop: Any) -> None:
    """Worker main loop: prepare once, then process jobs until the pipe closes."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR2"):  # Ctrl-C, and SLURM's, reach all processes; the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    do = _prepared(prepare, number, workers)

    def should_stop() -> bool:
        return stop.is_set() or (
            parent is not None and not parent.is_alive()
        )  # after kill -9 of the parent nobody waits for the result

    while True:
        try:
            job = connection.recv()
            connection.send(do(job, lambda fraction, _: connection.send(float(fraction)), should_stop))
        except (EOFError, OSError):
            return
