"""`segsrgan batch`: many volumes, each exactly once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ..batch.jobs import find_jobs, shard, with_masks
from ..batch.run import run_batch, summary_path
from ..batch.slurm.allocation import Allocation
from ..batch.slurm.submit import run_on_slurm
from ..batch.worker import BatchOptions
from ..inference.brain.choice import AUTO, NONE
from ..utils.optional import require
from ..utils.process_pool import BUSY, CANCELLED, FAILED, Outcome
from ..utils.progress import scaled
from .console import CANCELLED as STATUS_CANCELLED
from .console import emit, reported, run_guarded
from .options import (
    ConsoleOptions,
    FileOptions,
    Mask,
    NetworkOptions,
    Pairs,
    ProcessingOptions,
    TargetOptions,
    runs_of,
    with_options,
)


@with_options
def batch(
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="Folder, BIDS dataset, or .csv list (input[,input2,...,mask,output])."),
    ],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    pattern: Annotated[str, typer.Option(help="Names to take, for instance '*_T2w.nii.gz'.")] = "*",
    participant: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Of a BIDS dataset only this one; may be repeated.")
    ] = None,
    combine: Annotated[
        bool, typer.Option("--combine", help="Volumes of one BIDS session, or of one folder, are stacks of one child.")
    ] = False,
    *,
    target: TargetOptions,
    workers: Annotated[
        int, typer.Option(help="Parallel processes; with several GPUs, one for each. Labels do not depend on it.")
    ] = 1,
    mask: Mask = AUTO,
    masks: Annotated[
        Path | None, typer.Option(metavar="DERIVATIVE", help="BIDS derivative with the brain masks of the volumes.")
    ] = None,
    part: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Process the I-th of N shares of the volumes.")
    ] = None,
    slurm: Annotated[
        str | None,
        typer.Option(
            metavar="array=N,...", help="Run as N SLURM jobs; also partition, time, mem, cpus, gpus, account, qos."
        ),
    ] = None,
    network: NetworkOptions,
    pairs: Pairs = None,
    processing: ProcessingOptions,
    files: FileOptions,
    console: ConsoleOptions,
) -> None:
    """Enhance a whole cohort. Started again after an interruption, it goes on where it was.

    The table summary.tsv says of each volume whether it was done, skipped because its result was there, or failed and
    why. The exit status is 1 when a volume failed.
    """
    cancelled = False

    def work() -> None:
        nonlocal cancelled
        folder = outdir.absolute()
        runs = {
            part_of: BatchOptions(folder / part_of, target.model, enhance, mask=_checked_word(mask), **vars(files))
            for part_of, enhance in runs_of(pairs, processing.build(target, network)).items()
        }
        if files.dicom:
            require("highdicom", extra="dicom")  # before the work, not after it
        allocation = None if slurm is None else Allocation.parse(slurm)
        if allocation is not None and part is not None:
            raise ValueError("--slurm and --shard do not go together: the jobs of SLURM are the shards.")
        jobs = find_jobs(source, outdir, pattern, participant or (), combine)
        if masks is not None or mask == AUTO:
            jobs = with_masks(jobs, outdir, masks)
        jobs = shard(jobs, part)
        outcomes: list[Outcome] = []
        with reported(console.progress, console.cancel_file) as (show, should_stop):
            for index, options in enumerate(runs.values()):
                bar = scaled(show, index / len(runs), (index + 1) / len(runs))
                common = {"workers": workers, "progress": bar, "should_stop": should_stop}
                if allocation is None:
                    outcomes += run_batch(jobs, options, part=part, **common)
                else:
                    outcomes += run_on_slurm(jobs, options, allocation, **common)
        table = ", ".join(str(summary_path(options.outdir, part)) for options in runs.values())
        for outcome in outcomes:
            if outcome.status == FAILED:
                typer.echo(f"Failed: {outcome.job.key}: {outcome.reason}", err=True)
        counts = Counter(outcome.status for outcome in outcomes)
        if console.progress != "json":
            typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()) + f"; see {table}")
        if counts[CANCELLED] or counts[BUSY]:
            typer.echo("Cancelled; finished volumes stay, and the same command goes on with the others.", err=True)
            cancelled = True
            return
        if counts[FAILED]:
            raise ValueError(f"{counts[FAILED]} of {len(outcomes)} volumes failed; {table} says why.")
        tables = {
            f"{name}/summary".lstrip("/"): str(summary_path(options.outdir, part)) for name, options in runs.items()
        }
        emit(console.progress, done=True, files=tables, counts=dict(counts))

    raise typer.Exit(run_guarded(work, console.debug) or (STATUS_CANCELLED if cancelled else 0))


def _checked_word(mask: str) -> str:
    """What holds for volumes without a mask of their own.

    Raises:
        ValueError: a file, which could be of one volume only.
    """
    if mask not in (AUTO, NONE):
        raise ValueError(
            f"--mask takes auto or none here, not {mask!r}: the masks of many volumes stand in the column mask of a "
            "list, or in a BIDS derivative (--masks)."
        )
    return mask
