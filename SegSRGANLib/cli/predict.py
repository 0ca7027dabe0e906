"""`segsrgan predict`: one volume in, its super-resolution and cortex out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..inference.brain_choice import AUTO, NONE
from ..inference.options import DEFAULT_SPACING, EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.predictor import PredictionOptions
from ..inference.record import image_hash
from ..io.dicom.study import read_source
from ..io.volume import read_labels, read_volume
from ..models.checkpoint import load_model
from ..models.registry import DEFAULT_MODEL
from ..quality.assessment import MAP_NAMES
from ..quality.preflight import contrast_warnings
from ..quality.verdict import verdict_line
from ..results.files import check_writable, report_path, result_name, result_paths, save_enhancement
from ..results.provenance import describe_sources
from ..transforms.resample import INTERPOLATORS
from ..utils.optional import require
from ..utils.progress import scaled
from .console import emit, reported, run_guarded
from .options import (
    AsOriginal,
    BiasCorrection,
    CancelFile,
    Consistency,
    Debug,
    Device,
    Dicom,
    Geometry,
    Maps,
    Mask,
    ModelName,
    Overlap,
    Overwrite,
    Patch,
    ProgressMode,
    Report,
    Spacing,
    Threshold,
    Uncertainty,
)


def predict(
    volume: Annotated[Path, typer.Argument(help="T2-weighted volume: NIfTI, NRRD, MetaImage or a DICOM folder.")],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    spacing: Spacing = DEFAULT_SPACING,
    model: ModelName = DEFAULT_MODEL,
    mask: Mask = AUTO,
    series: Annotated[str | None, typer.Option(help="Which DICOM series, when the folder holds several.")] = None,
    device: Device = "auto",
    patch: Patch = PredictionOptions.patch,
    overlap: Overlap = PredictionOptions.overlap,
    pairs: Annotated[
        str | None,
        typer.Option(metavar="PATCH:STEP,...", help="Several runs, voxels; each into a folder patch-PATCH_step-STEP."),
    ] = None,
    interpolator: Annotated[
        str, typer.Option(metavar="|".join(INTERPOLATORS), help="First interpolation.")
    ] = "bspline",
    threshold: Threshold = EnhanceOptions.threshold,
    bias_correction: BiasCorrection = False,
    consistency: Consistency = True,
    uncertainty: Uncertainty = 0,
    as_original: AsOriginal = None,
    geometry: Geometry = None,
    maps: Maps = False,
    report: Report = False,
    dicom: Dicom = False,
    mixed_precision: Annotated[bool, typer.Option(help="bfloat16 convolutions on CUDA.")] = True,
    overwrite: Overwrite = False,
    progress: ProgressMode = "bar",
    cancel_file: CancelFile = None,
    debug: Debug = False,
) -> None:
    """Make an isotropic super-resolved volume and a segmentation of the cortex, or of the model's classes."""

    def work() -> None:
        name = result_name(volume)
        if report:
            require("jinja2", extra="report")  # before the work, not after it
        common = EnhanceOptions(
            spacing,
            interpolator,
            bias_correction,
            threshold,
            consistency=consistency,
            uncertainty=uncertainty,
            as_original=as_original,
        )
        runs = {
            outdir / folder: PredictionOptions(side, share, device=device, mixed_precision=mixed_precision)
            for folder, side, share in _runs(pairs, patch, overlap)
        }
        files: dict[str, str] = {}
        warnings: dict[str, None] = {}  # each once, in their order
        with reported(progress, cancel_file) as (show, should_stop):
            show(0.0, "Reading")
            loaded = load_model(model, device)  # says which classes there will be files of
            for folder in runs:
                page = [report_path(folder, name)] if report else []
                extra = {"maps": MAP_NAMES if maps else (), "dicom": dicom}
                paths = result_paths(folder, name, loaded.classes, brain="mask", **extra)
                check_writable([*paths.values(), *page], overwrite)
            source = read_source(volume, series) if dicom else None
            image = read_volume(volume, series, geometry=geometry, warnings=(notes := []))
            given = None if mask in (AUTO, NONE) else read_labels(mask)
            brain = mask if given is None else given
            sources = describe_sources(volume, *(() if given is None else (Path(mask), image_hash(given))))
            for index, (folder, prediction) in enumerate(runs.items()):
                part = scaled(show, index / len(runs), (index + 1) / len(runs))
                options = replace(common, prediction=prediction)
                result = enhance(image, loaded, options, mask=brain, progress=part, should_stop=should_stop)
                result.record["input"] |= sources
                result.record["warnings"] += notes + contrast_warnings(name, 0, 1)
                warnings |= dict.fromkeys(result.record["warnings"])
                part(0.98, "Writing")
                paths = save_enhancement(result, image, folder, name, overwrite, maps, source=source, report=report)
                files |= {
                    role if len(runs) == 1 else f"{folder.name}/{role}": str(path) for role, path in paths.items()
                }
            show(1.0, "Done")
        for warning in warnings:
            typer.echo(f"Warning: {warning}", err=True)
        if progress != "json":
            typer.echo("\n".join(files.values()))
            typer.echo(verdict_line(result.record))
        emit(progress, done=True, files=files)

    raise typer.Exit(run_guarded(work, debug))


def _runs(pairs: str | None, patch: int, overlap: float) -> list[tuple[str, int, float]]:
    """(folder, patch, overlap) of each run; one run goes into the output folder itself.

    Raises:
        ValueError: pairs that cannot be read.
    """
    if pairs is None:
        return [("", patch, overlap)]
    runs = []
    for pair in pairs.split(","):
        match = re.fullmatch(r"(\d+):(\d+)", pair.strip())
        if match is None or not 0 < int(match[2]) <= int(match[1]):
            raise ValueError(f"--pairs takes PATCH:STEP in voxels, the step at most the patch, not {pair.strip()!r}.")
        side, step = int(match[1]), int(match[2])
        runs.append((f"patch-{side}_step-{step}", side, 1 - step / side))
    return runs
