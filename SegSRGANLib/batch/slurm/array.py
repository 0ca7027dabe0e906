"""Jobs of a SLURM array from their submission to the outcomes of their volumes.

SLURM is asked with squeue, which every cluster has; the sacct of submitit needs an accounting database. A job has
answered when submitit's result file is there.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from typing import Any

from ...models.checkpoint import Model
from ...utils.process_pool import CANCELLED, DONE, FAILED, Outcome
from ...utils.progress import Progress, ShouldStop
from ..jobs import Job
from ..worker import BatchOptions, existing

_PERIOD = 5.0  # s between two looks at SLURM
_SETTLE = 15.0  # s that a shared file system may take to show the answer of an ended job
_LAST_WORDS = 60.0  # s for cancelled jobs to stop; SLURM kills them earlier
_FORGOTTEN = "no longer known to SLURM"
_ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"),
    _FORGOTTEN,
)


@dataclass(eq=False)
class Share:
    """One job of the array.

    jobs: its volumes. part: "2/5". submitted: submitit's job. state: SLURM's last word. ended: when that first was
    an end, s.
    """

    jobs: list[Job]
    part: str
    submitted: Any
    state: str = "PENDING"
    ended: float | None = None

    @property
    def answered(self) -> bool:
        """Whether the job has handed back its outcomes."""
        return self.submitted.paths.result_pickle.exists()

    def is_over(self, states: dict[str, str], settle: float) -> bool:
        """Whether the job has answered, or SLURM ended it `settle` seconds ago and no answer came."""
        if self.answered:
            return True
        self.state = states.get(self.submitted.job_id, self.state)
        if self.state not in _ENDED:
            self.ended = None
            return False
        self.ended = self.ended or time.monotonic()
        return time.monotonic() - self.ended >= settle


class SlurmArray:
    """The jobs for some volumes: followed until they are over, then asked for their outcomes.

    shares: to be set once they are submitted; the volumes' records are looked at before.
    """

    shares: list[Share]

    def __init__(self, jobs: list[Job], options: BatchOptions, model: Model) -> None:
        self._jobs, self._options, self._model = jobs, options, model
        self._before = {job: self._stamp(job) for job in jobs}
        self._waiting: list[Share] = []
        self._cancelled = False

    @property
    def over(self) -> bool:
        """Whether no job is at work any more."""
        return not self._waiting

    def follow(self, progress: Progress, should_stop: ShouldStop | None) -> None:
        """Wait until all jobs are over; cancel them when asked to stop, or when this process fails."""
        self._waiting, deadline = list(self.shares), float("inf")
        try:
            while self._waiting and time.monotonic() < deadline:
                states = _states(self._waiting)
                settle = 0 if self._cancelled else _SETTLE
                self._waiting = [share for share in self._waiting if not share.is_over(states, settle)]
                self._report(progress)
                if self._waiting and _stopped_in_pause(None if self._cancelled else should_stop):
                    self._cancel()
                    deadline = time.monotonic() + _LAST_WORDS
        except BaseException:
            self._cancel()
            raise

    def outcomes(self) -> dict[Job, Outcome]:
        """How each volume ended."""
        found: dict[Job, Outcome] = {}
        for share in self.shares:
            answer = share.submitted.result() if share.answered else []
            found |= {outcome.job: self._judged(outcome, share) for outcome in answer}
            found |= {job: self._lost(job, share) for job in share.jobs if job not in found}
        return found

    def _judged(self, outcome: Outcome, share: Share) -> Outcome:
        """What was stopped, and not from here, has failed."""
        if outcome.status != CANCELLED or self._cancelled:
            return outcome
        reason = f"SLURM stopped its job {share.submitted.job_id} (time limit or scancel): start again, with more time="
        return replace(outcome, status=FAILED, reason=reason)

    def _lost(self, job: Job, share: Share) -> Outcome:
        """A volume whose job gave no answer: it may be there all the same."""
        there = existing(job, self._options, self._model) if self._stamp(job) != self._before[job] else None
        if there is not None:
            return replace(there, status=DONE, reason="")
        if self._cancelled:
            return Outcome(job, CANCELLED, "stopped on request")
        given = share.submitted
        return Outcome(
            job, FAILED, f"its SLURM job {given.job_id} gave no answer ({share.state}); see {given.paths.stderr}"
        )

    def _cancel(self) -> None:
        self._cancelled = True
        subprocess.run(["scancel", *_array_ids(self._waiting)], capture_output=True)

    def _report(self, progress: Progress) -> None:
        over = {job for share in self.shares if share not in self._waiting for job in share.jobs}
        done = sum(job in over or self._stamp(job) not in (None, self._before[job]) for job in self._jobs)
        busy = sum(share.state != "PENDING" for share in self._waiting)
        queued = len(self._waiting) - busy
        progress(
            done / len(self._jobs), f"{done} of {len(self._jobs)} volumes; SLURM jobs: {busy} busy, {queued} queued"
        )

    def _stamp(self, job: Job) -> int | None:
        """What changes when the record of a result is written again."""
        try:
            return self._options.layout.record(job).stat().st_mtime_ns
        except OSError:
            return None


def _states(shares: list[Share]) -> dict[str, str]:
    """SLURM's word for each job, by its id; nothing when SLURM does not answer at the moment."""
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
    answer = subprocess.run([*command, f"--jobs={','.join(_array_ids(shares))}"], capture_output=True, text=True)
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return {}
    known = dict(line.split(maxsplit=1) for line in map(str.strip, answer.stdout.splitlines()) if line)
    return {share.submitted.job_id: known.get(share.submitted.job_id, _FORGOTTEN) for share in shares}


def _array_ids(shares: list[Share]) -> list[str]:
    return sorted({share.submitted.job_id.split("_")[0] for share in shares})


def _stopped_in_pause(should_stop: ShouldStop | None) -> bool:
    """Wait for a period, or until asked to stop."""
    end = time.monotonic() + _PERIOD
    while time.monotonic() < end:
        if should_stop is not None and should_stop():
            return True
        time.sleep(min(0.2, _PERIOD))
    return False
