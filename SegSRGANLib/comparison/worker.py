"""One volume: every row that is not there yet, each in its own right, whatever happens to the others."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch

from ..models.checkpoint import load_model
from ..utils.errors import Cancelled
from ..utils.process_pool import CANCELLED, DONE, FAILED, Do, Outcome
from ..utils.progress import Progress, ShouldStop, stop_if
from ..visualization.planes import Cut, plane_across
from . import store as files
from .pictures import draw_grid, is_drawn
from .plan import Plan, Row, Task
from .registration_cache import WarpedCache
from .store import Store
from .subjects import Volumes, load_volumes
from .system_runner import Bench, Tools
from .systems import HR


def pending(task: Task, plan: Plan) -> list[Row]:
    """The rows whose results are not there, or failed, or were made from something else."""
    store, rows = Store(plan.options.outdir), []
    for row in plan.rows():
        result = store.read(task.key, row, plan.key(row, task.digest))
        if result is None or result.status != files.DONE:
            rows.append(row)
    return rows


def unfinished(task: Task, plan: Plan) -> bool:
    """Whether a row of a volume is not there, or a picture of these rows."""
    drawn = all(is_drawn(plan, task, factor) for factor in plan.options.factors)
    return not drawn or bool(pending(task, plan))


def prepare(plan: Plan, number: int, workers: int) -> Do:
    """Get a worker process ready: one thread, so that times can be compared; see `batch.pool.Prepare`."""
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return partial(process, Tools(plan, load_model))


def process(tools: Tools, task: Task, progress: Progress, should_stop: ShouldStop) -> Outcome:
    """Work on one volume. Never raises for a bad volume or a failing system.

    Returns:
        DONE when every row was tried, FAILED when the volume cannot be used, or CANCELLED.
    """
    start = time.perf_counter()
    try:
        volumes = load_volumes(task.case, tools.plan.options.label)
        _run_rows(tools, task, volumes, (progress, should_stop))
        for factor in tools.plan.options.factors:
            draw_grid(tools.plan, task, factor)
    except Cancelled:
        return Outcome(task, CANCELLED, "stopped on request")  # type: ignore[arg-type]
    # whatever is wrong with one volume must not stop the others
    except Exception as error:
        return Outcome(task, FAILED, sentence(error), time.perf_counter() - start)  # type: ignore[arg-type]
    WarpedCache(tools.plan.options.outdir, task.key).drop()
    return Outcome(task, DONE, "", time.perf_counter() - start)  # type: ignore[arg-type]


def _run_rows(tools: Tools, task: Task, volumes: Volumes, callbacks: tuple[Progress, ShouldStop]) -> None:
    progress, should_stop = callbacks
    rows, done, store = pending(task, tools.plan), 0, Store(tools.plan.options.outdir)
    for factor in dict.fromkeys(row.factor for row in rows):
        bench = Bench(tools, task, volumes, factor, should_stop)
        cut = Cut.through(bench.volumes.hr, bench.volumes.truth, bench.volumes.mask)
        planes = cut.planes(bench.volumes.hr, bench.volumes.truth)
        planes[files.ACROSS] = np.array(plane_across(bench.volumes.hr, tools.plan.options.axis))
        store.write_planes(task.key, Row(factor, HR), planes)
        for row in (row for row in rows if row.factor == factor):
            stop_if(should_stop)
            _run_row(bench, row, cut, store)
            done += 1
            progress(done / len(rows), row.title)
        bench.release()


def _run_row(bench: Bench, row: Row, cut: Cut, store: Store) -> None:
    """Do one row and write its result, or why there is none."""
    begun = bench.begin(row)
    try:
        result, image, labels = bench.run(row, begun)
    except Cancelled:
        raise
    except Exception as error:
        store.write(row, replace(begun, status=files.FAILED, reason=sentence(error)))
        return
    store.write(row, result, cut.planes(None if row.source else image, labels))


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
