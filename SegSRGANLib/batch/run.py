"""A whole batch: what is there is skipped, the rest goes to the workers, and a table says how each volume ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ..inference.options import EnhanceOptions
from ..models.checkpoint import Model, load_model
from ..utils.atomic_files import sweep_partial
from ..utils.devices import choose_device
from ..utils.process_pool import BUSY, CANCELLED, Do, Outcome, run_pool
from ..utils.progress import Progress, ShouldStop, scaled
from .claims import Claim, sweep
from .jobs import Job
from .layout import describe_dataset
from .tables import table_path, write_summary, write_volumes
from .worker import BatchOptions, existing, process

_PATIENCE = 1.0  # s between two looks at volumes that another process has claimed


def run_batch(
    jobs: list[Job],
    options: BatchOptions,
    *,
    workers: int = 1,
    part: str | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> list[Outcome]:
    """Enhance volumes, each exactly once, also when several processes share the output folder.

    A volume whose result is whole is skipped. One that another process has claimed is waited for at the end, and taken
    over when that process dies.

    Args:
        jobs: see `jobs.find_jobs`. options: see `BatchOptions`. workers: processes.
        part: the shard, for the name of the table; see `jobs.shard`.
        progress: called with (fraction, message). should_stop: asked all the time.

    Returns:
        One outcome a job. The tables `summary.tsv` and `volumes.tsv` (`summary_shard-2-of-5.tsv`) are written in any
        case; with `options.report` a page like the first, too.

    Raises:
        ValueError: a model or an output folder that cannot be used, or no worker at all.
    """
    if workers < 1:
        raise ValueError(f"A batch needs at least one worker, not {workers}.")
    choose_device(options.enhance.prediction.device)

    def fill(model: Model, outcomes: dict[Job, Outcome]) -> None:
        _run_all(jobs, options, model, workers, outcomes, (progress, should_stop))

    return in_batch(jobs, options, part, fill)


def in_batch(
    jobs: list[Job], options: BatchOptions, part: str | None, fill: Callable[[Model, dict[Job, Outcome]], None]
) -> list[Outcome]:
    """What every batch begins and ends with, whoever does the volumes: folder, description, tables, pages.

    Args:
        jobs, options, part: see `run_batch`.
        fill: puts in the outcomes, given the model on the CPU. What it leaves out ends as CANCELLED.

    Returns, Raises:
        See `run_batch`.
    """
    model = load_model(options.model, "cpu")
    _make_folder(options.outdir)
    for dataset in {job.dataset for job in jobs if job.dataset is not None}:
        describe_dataset(options.outdir, dataset)
    sweep(options.outdir)
    sweep_partial(options.outdir)
    outcomes: dict[Job, Outcome] = {}
    try:
        fill(model, outcomes)
    finally:
        sweep(options.outdir)
        known = [outcomes.get(job, Outcome(job, CANCELLED, "not begun")) for job in jobs]
        table = summary_path(options.outdir, part)
        write_summary(known, table)
        write_volumes(known, table_path(options.outdir, "volumes", part))
        if options.report:
            from .cohort_page import write_cohort_report

            write_cohort_report(known, options, table.with_suffix(".html"), options.outdir.name)
    return known


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "it may not be written")
    except OSError as error:
        raise ValueError(f"The folder {folder} cannot be used ({error.strerror}); choose another one.") from error


def summary_path(outdir: Path, part: str | None = None) -> Path:
    """Where the summary of a batch, or of one shard of it, goes."""
    return table_path(outdir, "summary", part)


def _run_all(
    jobs: list[Job],
    options: BatchOptions,
    model: Model,
    workers: int,
    outcomes: dict[Job, Outcome],
    callbacks: tuple[Progress | None, ShouldStop | None],
) -> None:
    """Fill in the outcomes; first everything that nobody else does, then what others had claimed."""
    progress, should_stop = callbacks
    rest = list(jobs)
    first = True
    while rest:
        if not (options.overwrite and first):
            found = {job: there for job in rest if (there := existing(job, options, model))}
            outcomes.update(found)
            rest = [job for job in rest if job not in found]
        done = len(jobs) - len(rest)
        share = scaled(progress, done / len(jobs), 1)
        prepare = partial(_prepare, options)
        for outcome in run_pool(rest, prepare, workers, share, should_stop) if rest else ():
            outcomes[outcome.job] = outcome
        rest = [job for job in rest if outcomes[job].status == BUSY]
        _wait_for_any(rest, options, model, should_stop)
        if should_stop is not None and should_stop():
            return
        # another process makes these now; they must not be made a second time
        options, first = replace(options, overwrite=False), False


def _wait_for_any(jobs: list[Job], options: BatchOptions, model: Model, should_stop: ShouldStop | None) -> None:
    """Wait until one of the jobs that others have claimed is there, or is claimed by nobody any more."""
    while jobs and not (should_stop is not None and should_stop()):
        for job in jobs:
            with Claim(options.outdir, job.key).held() as free:
                if free or existing(job, options, model):
                    return
        time.sleep(_PATIENCE)


def _prepare(options: BatchOptions, number: int, workers: int) -> Do:
    """In a worker process: load the model, and give what enhances one volume."""
    if "OMP_NUM_THREADS" not in os.environ:  # a number that was asked for holds for each: the same bits
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))  # changes last digits, and no label
    options = replace(options, enhance=_placed(options.enhance, number))
    model = load_model(options.model, options.enhance.prediction.device)

    def do(job: Job, progress: Progress, should_stop: ShouldStop) -> Outcome:
        return process(job, options, model, progress, should_stop)

    return do


def _placed(options: EnhanceOptions, number: int) -> EnhanceOptions:
    """The options with a GPU for this worker, when there are several."""
    prediction = options.prediction
    if prediction.device in ("auto", "cuda") and torch.cuda.device_count() > 1:
        prediction = replace(prediction, device=f"cuda:{number % torch.cuda.device_count()}")
    return replace(options, prediction=prediction)
