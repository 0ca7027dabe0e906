"""`segsrgan demo`: the whole chain on a procedural brain, with its truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import reported, run_guarded
from .demo_run import run_demo
from .options import Debug, Device, ModelName, Overwrite, ProgressMode
from .predict import DEFAULT_MODEL


def demo(
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path("demo-output"),
    model: ModelName = DEFAULT_MODEL,
    slice_thickness: Annotated[float, typer.Option(help="Of the simulated acquisition, mm.")] = 3.0,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of the phantom.")] = 0,
    overwrite: Overwrite = True,
    progress: ProgressMode = "bar",
    debug: Debug = False,
) -> None:
    """Make a phantom, scan it with thick slices, super-resolve it, and show how close the result is."""

    def work() -> None:
        with reported(progress) as (report, should_stop):
            result = run_demo(outdir, model, slice_thickness, device, seed, overwrite, report, should_stop)
        typer.echo(result.table())
        typer.echo(f"\nPicture: {result.picture}")

    raise typer.Exit(run_guarded(work, debug))
