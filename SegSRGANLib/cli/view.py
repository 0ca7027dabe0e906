"""`segsrgan view`: look at results in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ..results.viewer.page import write_view
from ..results.viewer.server import ResultServer, serve
from ..results.viewer.study import find_studies
from .console import reported, run_guarded
from .options import CancelFile, Debug, Overwrite


def view(
    results: Annotated[Path, typer.Argument(help="Folder with results, or one ..._record.json.")],
    scan: Annotated[
        Path | None, typer.Option(help="The scan, or a folder with the scans; by default searched beside the results.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the page of one result into this .html file instead.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    overwrite: Overwrite = False,
    cancel_file: CancelFile = None,
    debug: Debug = False,
) -> None:
    """Show scan, super-resolution, segmentation and quality maps side by side, in a browser, without a network."""

    def work() -> None:
        studies = find_studies(results, scan)
        if output is not None:
            if len(studies) > 1:
                raise ValueError(f"{results} holds {len(studies)} results; give the _record.json of one with --output.")
            if output.exists() and not overwrite:
                raise ValueError(f"{output} is already there; use --overwrite to replace it.")
            write_view(studies[0], output)
            typer.echo(str(output))
            return
        server = ResultServer(studies)
        with reported("none", cancel_file) as (_, should_stop):
            typer.echo(f"{server.address}\nOnly this computer can open it. Ctrl-C ends.")
            if browser and not webbrowser.open(server.address):
                typer.echo("No browser was found; open the address above.", err=True)
            serve(server, should_stop)

    raise typer.Exit(run_guarded(work, debug))
