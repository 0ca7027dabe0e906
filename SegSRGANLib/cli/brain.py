"""`segsrgan brain`: the brain's mask of a scan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..inference.brain.extraction import extract_brain
from ..io.volume import read_volume, write_volume
from ..results.files import check_writable
from .console import emit, reported, run_guarded
from .options import ConsoleOptions, Device, Overwrite, Series, with_options


@with_options
def brain(
    volume: Annotated[Path, typer.Argument(help="T2-weighted volume: NIfTI, NRRD, MetaImage or a DICOM folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of the mask.")],
    series: Series = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    *,
    console: ConsoleOptions,
) -> None:
    """Find the brain of a newborn, or of a fetus in its mother, in a T2-weighted scan; the mask has the scan's grid."""

    def work() -> None:
        check_writable([output], overwrite)
        with reported(console.progress, console.cancel_file) as (show, should_stop):
            image = read_volume(volume, series)
            found = extract_brain(image, device, progress=show, should_stop=should_stop)
            output.parent.mkdir(parents=True, exist_ok=True)
            write_volume(found.mask, output)
        for warning in found.checks.warnings():
            typer.echo(f"Warning: {warning}", err=True)
        if console.progress != "json":
            typer.echo(f"{output}: {found.checks.volume_ml:.0f} mL")
        emit(console.progress, done=True, files={"mask": str(output)}, checks=asdict(found.checks))

    raise typer.Exit(run_guarded(work, console.debug))
