"""`segsrgan compare`: the paper's tables, on any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..comparison.plan import CompareOptions
from ..comparison.run import Comparison, run_comparison
from ..comparison.systems import ALL, parse_systems
from .console import CANCELLED as STATUS_CANCELLED
from .console import emit, reported, run_guarded
from .options import Axis, ConsoleOptions, Device, InPlane, with_options


@with_options
def compare(
    data: Annotated[
        Path, typer.Argument(help="Table (HR_image[, Label_image, Mask_image, Base]) or BIDS folder of true volumes.")
    ],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for tables, pictures and results.")],
    factors: Annotated[str, typer.Option(metavar="N,N", help="Slice thickness in voxels.")] = "3,6",
    systems: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME=FILE",
            help="all; spline, band-limited, models by name or file, imapa, drawem, majority; NAME+consistency fits "
            "the scan and refines tissues; {fold} in a file's name is the volume's fold.",
        ),
    ] = ALL,
    atlases: Annotated[
        Path | None, typer.Option(help="Table or BIDS folder of labelled atlases, for imapa, drawem and majority.")
    ] = None,
    axis: Axis = CompareOptions.axis,
    in_plane: InPlane = None,
    folds: Annotated[
        str, typer.Option(metavar="N,N", help="Folds of the table to compare; the others' volumes are the atlases.")
    ] = "",
    label: Annotated[int, typer.Option(help="Label of the cortex.")] = CompareOptions.label,
    reference: Annotated[str, typer.Option(help="Row that the others are compared with; the best model.")] = "",
    workers: Annotated[int, typer.Option(help="Parallel processes, one volume and one core each.")] = 1,
    device: Device = CompareOptions.device,
    *,
    console: ConsoleOptions,
) -> None:
    """Compare systems on simulated thick slices of true volumes. Started again, it goes on where it was.

    The exit status is 1 when a system was missing or failed on a volume; the tables hold the rest.
    """
    cancelled = False

    def work() -> None:
        nonlocal cancelled
        options = CompareOptions(
            data, outdir, _factors(factors), atlases, label, reference, device, axis, in_plane, tuple(_listed(folds))
        )
        with reported(console.progress, console.cancel_file) as (show, should_stop):
            found = run_comparison(
                parse_systems(systems), options, workers=workers, progress=show, should_stop=should_stop
            )
        cancelled = found.cancelled
        _tell(found, console.progress)

    raise typer.Exit(run_guarded(work, console.debug) or (STATUS_CANCELLED if cancelled else 0))


def _tell(found: Comparison, progress: str) -> None:
    """Say where the tables are and what is missing.

    Raises:
        ValueError: something is missing.
    """
    if found.cancelled:
        typer.echo("Cancelled; finished results stay, and the same command goes on with the others.", err=True)
        return
    for problem in found.problems:
        typer.echo(f"Missing: {problem}", err=True)
    if progress != "json":
        typer.echo(f"{found.files['tables']}, {found.files['boxes']}, {found.files['pictures']}")
    if found.problems:
        raise ValueError(f"The comparison is not complete; {found.files['tables']} says what is missing.")
    emit(progress, done=True, files={name: str(path) for name, path in found.files.items()})


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _factors(text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(part) for part in _listed(text)))
    except ValueError:
        raise ValueError(f"--factors takes numbers separated by commas, as in 3,6; not {text!r}.") from None
