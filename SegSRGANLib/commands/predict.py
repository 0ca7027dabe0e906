"""`segsrgan predict`: one volume in, its super-resolution and cortex out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import emit, reported, run_guarded
from ..inference import EnhanceOptions, enhance
from ..prediction import PredictionOptions
from ..results import check_writable, result_name, result_paths, save_enhancement
from ..volume_io import read_labels, read_volume
from ..weights import DEFAULT_MODEL, load_model
from .options import CancelFile, Debug, Device, ModelName, Overlap, Overwrite, Patch, ProgressMode


def predict(
    volume: Annotated[Path, typer.Argument(help="T2-weighted volume: NIfTI, NRRD, MetaImage or a DICOM folder.")],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    spacing: Annotated[float, typer.Option(help="Isotropic output spacing, mm.")] = 0.5,
    model: ModelName = DEFAULT_MODEL,
    mask: Annotated[Path | None, typer.Option(help="Brain mask; outside it the volume is only interpolated.")] = None,
    series: Annotated[str | None, typer.Option(help="Which DICOM series, when the folder holds several.")] = None,
    device: Device = "auto",
    patch: Patch = PredictionOptions.patch,
    overlap: Overlap = PredictionOptions.overlap,
    threshold: Annotated[float, typer.Option(help="Probability from which a voxel is cortex.")] = 0.5,
    bias_correction: Annotated[
        bool, typer.Option("--bias-correction", help="Correct the bias field (N4) first.")
    ] = False,
    mixed_precision: Annotated[bool, typer.Option(help="bfloat16 convolutions on CUDA.")] = True,
    overwrite: Overwrite = False,
    progress: ProgressMode = "bar",
    cancel_file: CancelFile = None,
    debug: Debug = False,
) -> None:
    """Make an isotropic super-resolved volume and a segmentation of the cortex."""

    def work() -> None:
        name = result_name(volume)
        options = EnhanceOptions(
            spacing=spacing,
            bias_correction=bias_correction,
            threshold=threshold,
            prediction=PredictionOptions(patch, overlap, device=device, mixed_precision=mixed_precision),
        )
        check_writable(result_paths(outdir, name).values(), overwrite)
        with reported(progress, cancel_file) as (report, should_stop):
            report(0.0, "Reading")
            image = read_volume(volume, series)
            brain = None if mask is None else read_labels(mask)
            loaded = load_model(model, device)
            result = enhance(image, loaded, options, mask=brain, progress=report, should_stop=should_stop)
            result.record["input"]["file"] = volume.name
            report(0.98, "Writing")
            paths = save_enhancement(result, image, outdir, name, overwrite)
            report(1.0, "Done")
        for warning in result.record["warnings"]:
            typer.echo(f"Warning: {warning}", err=True)
        if progress != "json":
            typer.echo("\n".join(str(path) for path in paths.values()))
        emit(progress, done=True, files={role: str(path) for role, path in paths.items()})

    raise typer.Exit(run_guarded(work, debug))
