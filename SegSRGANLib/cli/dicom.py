"""`segsrgan dicom`: a finished result into the study of its scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..io.dicom.study import read_source
from ..results.dicom_folder import publish_dicom, read_result
from .console import emit, reported, run_guarded
from .options import ConsoleOptions, Series, with_options


@with_options
def dicom(
    record: Annotated[Path, typer.Argument(help="Record of the result, NAME_record.json, beside its other files.")],
    source: Annotated[Path, typer.Option(help="DICOM folder of the scan, or one file of its series.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder for the DICOM files.")],
    series: Series = None,
    edited: Annotated[bool, typer.Option("--edited", help="The segmentation was corrected by hand.")] = False,
    *,
    console: ConsoleOptions,
) -> None:
    """Write a finished result as DICOM into its scan's study, for instance after its segmentation was corrected."""

    def work() -> None:
        with reported(console.progress, console.cancel_file) as (show, should_stop):
            show(0.0, "Reading")
            headers = read_source(source, series)
            result = read_result(record, source, series)
            show(0.3, "Writing DICOM")
            publish_dicom(result, headers, output, edited=edited, should_stop=should_stop)
            show(1.0, "Done")
        if console.progress != "json":
            typer.echo(str(output))
        emit(console.progress, done=True, files={"dicom": str(output)})

    raise typer.Exit(run_guarded(work, console.debug))
