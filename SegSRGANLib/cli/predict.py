"""`segsrgan predict`: one volume in, its super-resolution and cortex out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import SimpleITK as sitk
import typer

from ..data.grid import Grid
from ..inference.brain.choice import AUTO, NONE
from ..inference.estimate import plan_line
from ..inference.pipeline import enhance
from ..inference.record import image_hash, name_stacks
from ..inference.several.estimate import estimate_stacks
from ..inference.several.quality import map_names
from ..io.dicom.study import read_source
from ..io.volume import read_labels, read_volume
from ..models.checkpoint import load_model
from ..quality.assessment import MAP_NAMES
from ..quality.preflight import contrast_warnings
from ..quality.verdict import verdict_line
from ..results.files import check_writable, save_enhancement
from ..results.paths import report_path, result_name, result_paths
from ..results.provenance import describe_sources
from ..results.viewer.page import TooLarge, write_view
from ..results.viewer.study import find_studies
from ..utils.memory import kept_heap
from ..utils.progress import scaled
from .console import emit, reported, run_guarded
from .options import (
    ConsoleOptions,
    FileOptions,
    NetworkOptions,
    Pairs,
    ProcessingOptions,
    Series,
    TargetOptions,
    runs_of,
    with_options,
)


@with_options
def predict(
    volumes: Annotated[
        list[Path],
        typer.Argument(
            metavar="VOLUME [VOLUME ...]",
            help="T2-weighted volume: NIfTI, NRRD, MetaImage or a DICOM folder; several stacks of one child give one.",
        ),
    ],
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    *,
    target: TargetOptions,
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
    series: Series = None,
    network: NetworkOptions,
    pairs: Pairs = None,
    processing: ProcessingOptions,
    files: FileOptions,
    console: ConsoleOptions,
) -> None:
    """Make an isotropic super-resolved volume and a segmentation of the cortex, or of the model's classes.

    Several volumes are stacks of one child: they are registered to the first one and fused into one volume on its axes.
    """

    def work() -> None:
        name = result_name(volumes[0])
        truth = None if like is None else Grid.of(read_volume(like, geometry=files.geometry))
        common = processing.build(target, network)
        common = common if truth is None else replace(common, spacing=truth.spacing)
        runs = {outdir / folder: options for folder, options in runs_of(pairs, common).items()}
        written: dict[str, str] = {}
        warnings: dict[str, None] = {}  # each once, in their order
        notes: list[str] = []  # on the files that were read
        with reported(console.progress, console.cancel_file) as (show, should_stop):
            show(0.0, "Reading")
            loaded = load_model(target.model, network.device)  # says which classes there will be files of
            extra = {"maps": (*MAP_NAMES, *map_names(len(volumes))) if files.maps else (), "dicom": files.dicom}
            for folder in runs:
                page = [report_path(folder, name), _view_path(folder, name)] if files.report else []
                paths = result_paths(folder, name, loaded.classes, brain="mask", **extra)
                check_writable([*paths.values(), *page], files.overwrite)
            source = read_source(volumes[0], series) if files.dicom else None
            images = [read_volume(volume, series, geometry=files.geometry, warnings=notes) for volume in volumes]
            words = (mask or [AUTO])[0 if len(volumes) > 1 else -1 :]  # of one volume the last one holds
            read_mask = partial(read_labels, geometry=files.geometry, warnings=notes)
            masks = [word if word in (AUTO, NONE) else read_mask(Path(word)) for word in words]
            sources = _describe(volumes, words, masks)
            grids = [Grid.of(image) for image in images]
            costs = {folder: estimate_stacks(grids, loaded, masks, options) for folder, options in runs.items()}
            for folder, options in runs.items() if console.progress != "json" else ():  # the panel has shown it
                typer.echo(plan_line(grids[0], loaded, masks[0], options, files.report, costs[folder]), err=True)
            for index, (folder, options) in enumerate(runs.items()):
                part = scaled(show, index / len(runs), (index + 1) / len(runs))
                share = costs[folder].share(files.report)
                bar = scaled(part, 0, share)
                with kept_heap():  # what the computation frees serves the writing
                    result = enhance(images, loaded, options, mask=masks, progress=bar, should_stop=should_stop)
                    result = result if truth is None else result.like(truth)
                    _note(result.record, sources, [*notes, *contrast_warnings(name, 0, 1)])
                    warnings |= dict.fromkeys(result.record["warnings"])
                    part(share, "Writing")
                    paths = save_enhancement(
                        result, images[0], folder, name, files.overwrite, files.maps, source=source, report=files.report
                    )
                if files.report and (view := _write_view(paths["record"], volumes[0], _view_path(folder, name))):
                    paths["view"] = view
                written |= {
                    role if len(runs) == 1 else f"{folder.name}/{role}": str(path) for role, path in paths.items()
                }
            show(1.0, "Done")
        for warning in warnings:
            typer.echo(f"Warning: {warning}", err=True)
        _tell(console.progress, written, result.record)

    raise typer.Exit(run_guarded(work, console.debug))


def _tell(progress: str, files: dict[str, str], record: dict[str, Any]) -> None:
    """Print the written files and the verdict, or tell the parent process."""
    if progress != "json":
        typer.echo("\n".join(files.values()))
        typer.echo(verdict_line(record))
    emit(progress, done=True, files=files)


def _describe(volumes: list[Path], words: list[str], masks: list[sitk.Image | str]) -> list[dict[str, Any]]:
    """What the record says of the files of each scan, with the masks that were given."""
    given = [
        () if isinstance(mask, str) else (Path(word), image_hash(mask)) for word, mask in zip(words, masks, strict=True)
    ]
    given += [()] * (len(volumes) - len(given))
    return [describe_sources(volume, *mask) for volume, mask in zip(volumes, given, strict=False)]


def _note(record: dict[str, Any], sources: list[dict[str, Any]], warnings: list[str]) -> None:
    """Add what the files were, and what is to be said of them."""
    record["input"] |= sources[0]
    name_stacks(record, sources)
    record["warnings"] += warnings


def _view_path(folder: Path, name: str) -> Path:
    """Where the page with the volumes inside goes."""
    return folder / f"{name}_view.html"


def _write_view(record: Path, scan: Path, path: Path) -> Path | None:
    """The page with the volumes inside, where a browser can open it; else a warning says how to see it."""
    path.unlink(missing_ok=True)  # of an earlier result
    try:
        write_view(find_studies(record, scan)[0], path)
    except TooLarge as error:
        typer.echo(f"Warning: {error}", err=True)
        return None
    return path
