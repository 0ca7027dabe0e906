"""`segsrgan pack`: training volumes in one small file, for a machine with a GPU and little else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..results.files import check_writable
from ..training.data.packing import pack_table
from .console import reported, run_guarded
from .options import ConsoleOptions, Overwrite, with_options


@with_options
def pack(
    table: Annotated[Path, typer.Argument(help="CSV: HR_image (or empty), Label_image, Fold, Weight, Averaged.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    held_out_fold: Annotated[str, typer.Option(help="Fold whose volumes are kept to judge by.")] = "",
    overwrite: Overwrite = False,
    *,
    console: ConsoleOptions,
) -> None:
    """Pack volumes and label maps for `python -m SegSRGANLib.training.timed`."""

    def work() -> None:
        check_writable([output], overwrite)
        with reported(console.progress, console.cancel_file) as (report, should_stop):
            size = pack_table(table, output, held_out_fold, report, should_stop)
        typer.echo(f"{output}: {size / 2**20:.1f} MiB")

    raise typer.Exit(run_guarded(work, console.debug))
