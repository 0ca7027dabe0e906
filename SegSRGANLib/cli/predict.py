"""`segsrgan predict`: one volume in, its super-resolution and cortex out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.grid import Grid
from ..inference.brain_choice import AUTO, NONE
from ..inference.estimate import estimate, plan_line
from ..inference.options import EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.predictor import PredictionOptions
from ..inference.record import name_stacks
from ..inference.stack_quality import map_names
from ..io.dicom.study import read_source
from ..io.volume import read_labels, read_volume
from ..models.checkpoint import load_model
from ..models.registry import DEFAULT_MODEL
from ..quality.assessment import MAP_NAMES
from ..quality.preflight import contrast_warnings
from ..quality.verdict import verdict_line
from ..results.files import check_writable, result_name, result_paths, save_enhancement
from ..results.html_page import write_subject_report
from ..results.viewer.page import TooLarge, write_view
from ..results.viewer.study import find_studies
from ..transforms.resample import INTERPOLATORS
from ..utils.optional import require
from ..utils.progress import scaled
from .console import emit, reported, run_guarded
from .options import (
    BiasCorrection,
    CancelFile,
    Consistency,
    Debug,
    Device,
    Dicom,
    Maps,
    ModelName,
    Overlap,
    Overwrite,
    Patch,
    Precision,
    ProgressMode,
    Report,
    Spacing,
    Threshold,
    Uncertainty,
    parsed_spacing,
)


def predict(
    volumes: Annotated[
        list[Path],
        typer.Argument(
            metavar="VOLUME [VOLUME ...]",
            help="T2-weighted volume: NIfTI, NRRD, MetaImage or a DICOM folder; several stacks of one child give one.",
        ),
    ],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    spacing: Spacing = AUTO,
    model: ModelName = DEFAULT_MODEL,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|auto|none",
            help="Brain mask; auto (default): find the brain; none: the volume is a brain already. Of several stacks "
            "that of the first one, or once for each.",
        ),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Volume whose voxels the result has, for a comparison; instead of --spacing.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="Which DICOM series, when the folder holds several.")] = None,
    device: Device = "auto",
    precision: Precision = PredictionOptions.precision,
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
    maps: Maps = False,
    report: Report = False,
    dicom: Dicom = False,
    overwrite: Overwrite = False,
    progress: ProgressMode = "bar",
    cancel_file: CancelFile = None,
    debug: Debug = False,
) -> None:
    """Make an isotropic super-resolved volume and a segmentation of the cortex, or of the model's classes.

    Several volumes are stacks of one child: they are registered to the first one and fused into one volume on its axes.
    """

    def work() -> None:
        name = result_name(volumes[0])
        if report:
            require("jinja2", extra="report")  # before the work, not after it
        truth = None if like is None else Grid.of(read_volume(like))
        wanted = parsed_spacing(spacing) if truth is None else truth.spacing
        common = EnhanceOptions(
            wanted, interpolator, bias_correction, threshold, consistency=consistency, uncertainty=uncertainty
        )
        network = PredictionOptions(device=device, precision=precision)
        runs = {
            outdir / folder: replace(common, prediction=replace(network, patch=side, overlap=share))
            for folder, side, share in _runs(pairs, patch, overlap)
        }
        files: dict[str, str] = {}
        warnings: dict[str, None] = {}  # each once, in their order
        with reported(progress, cancel_file) as (show, should_stop):
            show(0.0, "Reading")
            loaded = load_model(model, device)  # says which classes there will be files of
            for folder in runs:
                page = [folder / f"{name}_{kind}.html" for kind in ("report", "view")] if report else []
                names = (*MAP_NAMES, *map_names(len(volumes))) if maps else ()
                paths = result_paths(folder, name, loaded.classes, brain="mask", maps=names, dicom=dicom)
                check_writable([*paths.values(), *page], overwrite)
            source = read_source(volumes[0], series) if dicom else None
            images = [read_volume(volume, series) for volume in volumes]
            words = (mask or [AUTO])[0 if len(volumes) > 1 else -1 :]  # of one volume the last one holds
            masks = [word if word in (AUTO, NONE) else read_labels(Path(word)) for word in words]
            first = Grid.of(images[0])
            for options in runs.values() if progress != "json" else ():  # the panel has shown it
                typer.echo(plan_line(first, loaded, masks[0], options, report), err=True)
            for index, (folder, options) in enumerate(runs.items()):
                part = scaled(show, index / len(runs), (index + 1) / len(runs))
                share = estimate(first, loaded, masks[0], options).share(report)
                result = enhance(
                    images, loaded, options, mask=masks, progress=scaled(part, 0, share), should_stop=should_stop
                )
                result = result if truth is None else result.like(truth)
                _name_files(result.record, volumes, words[0])
                result.record["warnings"] += contrast_warnings(name, 0, 1)
                warnings |= dict.fromkeys(result.record["warnings"])
                part(share, "Writing")
                paths = save_enhancement(result, images[0], folder, name, overwrite, maps, source=source)
                if report:
                    paths["report"] = folder / f"{name}_report.html"
                    write_subject_report(result, images[0], paths["report"], name)
                    if written := _write_view(paths["record"], volumes[0]):
                        paths["view"] = written
                files |= {
                    role if len(runs) == 1 else f"{folder.name}/{role}": str(path) for role, path in paths.items()
                }
            show(1.0, "Done")
        for warning in warnings:
            typer.echo(f"Warning: {warning}", err=True)
        _tell(progress, files, result.record)

    raise typer.Exit(run_guarded(work, debug))


def _tell(progress: str, files: dict[str, str], record: dict[str, Any]) -> None:
    """Print the written files and the verdict, or tell the parent process."""
    if progress != "json":
        typer.echo("\n".join(files.values()))
        typer.echo(verdict_line(record))
    emit(progress, done=True, files=files)


def _name_files(record: dict[str, Any], volumes: list[Path], mask: str) -> None:
    """Note the names of the scans, and of the first mask where one was given."""
    files = [os.path.basename(os.path.abspath(volume)) for volume in volumes]  # "." is no name
    record["input"] |= {"file": files[0], "mask_file": None if mask in (AUTO, NONE) else Path(mask).name}
    name_stacks(record, files)


def _write_view(record: Path, scan: Path) -> Path | None:
    """The page with the volumes inside, where a browser can open it; else a warning says how to see it."""
    path = record.with_name(record.name.replace("_record.json", "_view.html"))
    try:
        write_view(find_studies(record, scan)[0], path)
    except TooLarge as error:
        typer.echo(f"Warning: {error}", err=True)
        return None
    return path


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
