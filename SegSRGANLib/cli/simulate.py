"""`segsrgan simulate`: the paper's observation model on a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..io.volume import read_volume, write_volume
from ..results.files import check_writable
from ..transforms.acquisition import acquire
from .console import run_guarded
from .options import Axis, Debug, InPlane, Overwrite


def simulate(
    volume: Annotated[Path, typer.Argument(help="High-resolution volume.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of the low-resolution volume.")],
    slice_thickness: Annotated[float, typer.Option(help="Slice thickness, mm.")],
    in_plane: InPlane = None,
    axis: Axis = 2,
    noise: Annotated[float, typer.Option(help="Standard deviation of the noise, in the volume's units.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Simulate thick slices: Gaussian slice profile, sampling, noise (eq. 1 of the paper).

    The paper's second protocol: --slice-thickness 3 --in-plane 0.446.
    """

    def work() -> None:
        check_writable([output], overwrite)
        image = read_volume(volume)
        spacing = list(image.GetSpacing()) if in_plane is None else [in_plane] * 3
        spacing[axis] = slice_thickness
        write_volume(acquire(image, spacing, noise=noise, seed=seed, finer=in_plane is not None), output)
        typer.echo(str(output))

    raise typer.Exit(run_guarded(work, debug))
