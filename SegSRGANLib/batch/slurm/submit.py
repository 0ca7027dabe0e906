"""A batch on a cluster: an array of SLURM jobs, each of which does a share as `--shard i/n` does."""

from __future__ import annotations

import io
import os
import shutil
import signal
import tempfile
import time
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

from ...models.checkpoint import Model
from ...utils.optional import require
from ...utils.process_pool import FAILED, Outcome
from ...utils.progress import Progress, ShouldStop, scaled
from ..jobs import Job, shard
from ..run import in_batch, run_batch
from ..tables import table_path
from ..worker import BatchOptions, existing
from .allocation import Allocation
from .array import Share, SlurmArray

LOGS = "slurm"  # below the output folder


def run_on_slurm(
    jobs: list[Job],
    options: BatchOptions,
    allocation: Allocation,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> list[Outcome]:
    """Enhance volumes on a cluster, each exactly once, and wait for them; tables and outcomes as of `run.run_batch`.

    What the jobs say is kept in the folder "slurm" of the output folder. They are cancelled when this process is asked
    to stop; when it is killed they go on.

    Args:
        jobs: see `jobs.find_jobs`. options: of the batch; all nodes must see its output folder.
        allocation: what to ask SLURM for. workers: processes in each job.
        progress: called with (fraction, message). should_stop: asked all the time.

    Raises:
        ValueError: there is no SLURM here, or it refuses; or what `run.run_batch` raises.
        MissingPackage: submitit is not installed.
    """
    if absent := [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]:
        raise ValueError(
            f"SLURM is not available on this machine ({absent[0]} not found): log in to the cluster, or leave out "
            "--slurm."
        )
    require("submitit", extra="cluster")

    def fill(model: Model, outcomes: dict[Job, Outcome]) -> None:
        found = {} if options.overwrite else {j: there for j in jobs if (there := existing(j, options, model))}
        outcomes.update(found)
        rest = [job for job in jobs if job not in found]
        if rest and not (should_stop is not None and should_stop()):
            share = scaled(progress, len(found) / len(jobs), 1)
            outcomes.update(_run_array(rest, options, model, (allocation, workers), (share, should_stop)))

    return in_batch(jobs, options, None, fill)


def _run_array(
    jobs: list[Job],
    options: BatchOptions,
    model: Model,
    wanted: tuple[Allocation, int],
    callbacks: tuple[Progress, ShouldStop | None],
) -> dict[Job, Outcome]:
    array = SlurmArray(jobs, options, model)
    array.shares = _submitted(jobs, options, *wanted)
    array.follow(*callbacks)
    outcomes = array.outcomes()
    for share in array.shares:  # their rows are in the tables of the whole
        for name in ("summary", "volumes"):
            table = table_path(options.outdir, name, share.part)
            for path in (table, table.with_suffix(".html"), table.with_suffix(".json")):
                path.unlink(missing_ok=True)
    if array.over:  # what was handed over; the logs stay
        folder = array.shares[0].submitted.paths.folder
        for path in (*folder.glob("*.pkl"), *folder.glob(".submission_file_*")):
            path.unlink(missing_ok=True)
    return outcomes


def _submitted(jobs: list[Job], options: BatchOptions, allocation: Allocation, workers: int) -> list[Share]:
    """Give the shares to SLURM."""
    count = min(allocation.array, len(jobs))
    parts = [f"{k + 1}/{count}" for k in range(count)]
    shares = [shard(jobs, part) for part in parts]
    logs = options.outdir / LOGS
    logs.mkdir(exist_ok=True)
    # mkdtemp lets only the user in: the jobs run what lies there
    folder = Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%dT%H-%M-%S-"), dir=logs))
    try:
        given = _submit(folder, allocation, (shares, [options] * count, [workers] * count, parts))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            logs.rmdir()  # only when it is empty
        raise
    return [Share(*values) for values in zip(shares, parts, given, strict=True)]


def _submit(folder: Path, allocation: Allocation, arguments: tuple[list[Any], ...]) -> list[Any]:
    """Submitit's jobs, one an argument."""
    submitit = require("submitit", extra="cluster")
    errors = require("submitit.core.utils", extra="cluster")
    try:
        with redirect_stderr(io.StringIO()):  # submitit writes there what it also raises
            executor = submitit.SlurmExecutor(folder, max_num_timeout=0)
            executor.update_parameters(**allocation.as_submitit())
            return executor.map_array(_do_share, *arguments)
    except (errors.FailedJobError, errors.FailedSubmissionError) as error:
        said = (str(error).strip().splitlines() or ["it gave no reason"])[-1]
        for beginning in ("sbatch: error: ", "Batch job submission failed: "):
            said = said.removeprefix(beginning)
        raise ValueError(
            f"SLURM refused the jobs ({said}): check  --slurm {allocation}  (sinfo lists the partitions)."
        ) from error


def _do_share(jobs: list[Job], options: BatchOptions, workers: int, part: str) -> list[Outcome]:
    """What a job of the array does, on its node."""
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR2):  # scancel; and what submitit has SLURM send before the time is up
        signal.signal(number, lambda number, frame: stop.append(number))
    if cpus := os.environ.get("SLURM_CPUS_PER_TASK"):  # without cgroups a job sees all processors of its node
        for name in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
            os.environ.setdefault(name, cpus)
    try:
        return run_batch(jobs, options, workers=workers, part=part, should_stop=lambda: bool(stop))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        return [Outcome(job, FAILED, " ".join(str(error).split())) for job in jobs]
