"""A whole comparison: what is there stays, the rest goes to the workers, then tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..models.checkpoint import load_model
from ..utils.devices import choose_device
from ..utils.optional import require
from ..utils.process_pool import CANCELLED as CANCELLED_WORK
from ..utils.process_pool import FAILED as FAILED_WORK
from ..utils.process_pool import Outcome, run_pool
from ..utils.progress import Progress, ShouldStop, scaled
from .outputs import write_outputs
from .plan import CompareOptions, Plan, Task, digest
from .segmenters import AtlasTools
from .store import FAILED, Result, Store
from .subjects import find_cases
from .systems import Method, Systems
from .worker import prepare, sentence, unfinished

_SHARE = 0.97  # of the progress; the rest is for tables


@dataclass(frozen=True)
class Comparison:
    """What came out. results: every one that was asked for. problems: sentences about what is missing or failed.

    files: by what they hold. cancelled: before everything was done; then there are no files.
    """

    results: tuple[Result, ...] = ()
    problems: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    cancelled: bool = False


def run_comparison(
    systems: Systems,
    options: CompareOptions,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    tools: AtlasTools = AtlasTools(),
) -> Comparison:
    """Simulate, run every system, measure and tabulate. Started again, it does only what is missing or out of date.

    Args:
        systems: see `systems.parse_systems`; those that cannot run are reported, and the rest goes on.
        options: see `plan.CompareOptions`.
        workers: processes, each with one thread, on one volume at a time.
        progress: called with (fraction, message). should_stop: asked all the time.
        tools: the segmenters.

    Raises:
        ValueError: data, atlases, device, folder or reference that cannot be used.
        MissingPackage: matplotlib is not installed.
    """
    if workers < 1:
        raise ValueError(f"A comparison needs at least one worker, not {workers}.")
    require("matplotlib", extra="report")  # before the work, not after it
    choose_device(options.device)
    tasks = [Task(case, digest(case)) for case in find_cases(options.data, options.folds)]
    plan, missing = make_plan(systems, options, tools)
    _check_reference(plan, missing)
    report, outcomes = scaled(progress, 0, _SHARE), []
    todo = [task for task in tasks if unfinished(task, plan)]
    if todo:
        outcomes = list(run_pool(todo, partial(prepare, plan), workers, report, should_stop))
    if any(outcome.status == CANCELLED_WORK for outcome in outcomes):
        return Comparison(cancelled=True)
    results = _collect(tasks, plan, outcomes)
    problems = (*(f"{name} is missing: {why}" for name, why in missing.items()), *_problems(results))
    scaled(progress, _SHARE, 1)(0, "Writing tables and pictures")
    files = write_outputs(results, plan, problems)
    scaled(progress, _SHARE, 1)(1, "Done")
    return Comparison(results, problems, files)


def make_plan(systems: Systems, options: CompareOptions, tools: AtlasTools) -> tuple[Plan, dict[str, str]]:
    """Find out which systems can run.

    Returns:
        The plan without those that cannot, and for each of these the reason.

    Raises:
        ValueError: atlases that cannot be read.
    """
    weights, missing = {}, {}
    for method in systems.methods:
        try:
            weights[method.name] = _weights(method, options.folds)
        except (ValueError, OSError) as error:
            missing[method.name] = sentence(error)
    segmenters, atlas_key = systems.segmenters, ""
    if segmenters and options.atlas_source is None:
        missing |= dict.fromkeys(segmenters, "It needs atlases; name a folder or table of them with --atlases.")
        segmenters = ()
    elif segmenters:
        atlas_key = tools.key(tools.read(options.atlas_source))  # ty: ignore[invalid-argument-type]  # not None
    methods = tuple(method for method in systems.methods if method.name in weights)
    return Plan(options, replace(systems, methods=methods, segmenters=segmenters), weights, atlas_key, tools), missing


def _weights(method: Method, folds: Sequence[str]) -> str:
    """SHA-256 of a model's file, or of those of all folds."""
    if not method.model:
        return ""
    return " ".join(dict.fromkeys(load_model(method.of_fold(fold), "cpu").sha256 for fold in (folds or ("",))))


def _check_reference(plan: Plan, missing: dict[str, str]) -> None:
    titles = list(dict.fromkeys(row.title for row in plan.rows()))
    if not titles:
        raise ValueError(f"Not one of the systems can run. {next(iter(missing.values()))}")
    if plan.options.reference and plan.reference not in titles:
        raise ValueError(f"There is no row {plan.reference!r} to compare with; choose one of {', '.join(titles)}.")


def _collect(tasks: Sequence[Task], plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Result, ...]:
    """All results in the order of the tables; what a broken volume or a dead process owes counts as failed."""
    store, results = Store(plan.options.outdir), []
    reasons = {outcome.job.key: outcome.reason for outcome in outcomes if outcome.status == FAILED_WORK}
    for task in tasks:
        for row in plan.rows():
            key = plan.key(row, task.digest)
            lost = Result(task.key, row.factor, row.title, key, FAILED, reasons.get(task.key, "it was not finished"))
            results.append(store.read(task.key, row, key) or lost)
    return tuple(results)


def _problems(results: Sequence[Result]) -> list[str]:
    """A sentence for each reason, with the systems and volumes that it stopped."""
    reasons: dict[str, list[Result]] = {}
    for result in results:
        if result.reason:
            reasons.setdefault(result.reason, []).append(result)
    return [
        f"{_listed(r.system for r in found)}; {_listed(r.subject for r in found)}: {why.rstrip('.')}."
        for why, found in reasons.items()
    ]


def _listed(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct[:6]) + (f" and {len(distinct) - 6} more" if len(distinct) > 6 else "")
