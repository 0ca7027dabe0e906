"""`segsrgan train`: train a model, or fine-tune one on your own volumes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..training.config import TrainingConfig, make_config, parse_setting, read_values
from ..training.config_parsing import merge
from ..training.history import Row
from ..training.step import leads
from ..training.trainer import train as run_training
from ..utils.errors import Cancelled
from .console import CANCELLED, emit, reported, run_guarded
from .options import ConsoleOptions, with_options


@with_options
def train(
    config: Annotated[Path | None, typer.Argument(help="JSON or YAML file; options override what it says.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for everything that is written.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Table: HR_image, Label_image, Base[, Mask_image, Weight].")] = None,
    bids: Annotated[Path | None, typer.Option(help="BIDS folder with *_T2w and *_dseg volumes.")] = None,
    label: Annotated[
        list[int] | None, typer.Option(help="Label of the tissue to segment; several count as one. See --set classes.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Model to fine-tune: a listed name, a .safetensors file or the original project's weights."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Starting point: content, paper or fine-tune.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.")] = None,
    hours: Annotated[float | None, typer.Option(help="Training time, hours.")] = None,
    slice_thickness: Annotated[
        tuple[float, float] | None, typer.Option(metavar="MIN MAX", help="Range of slice thickness to train on, mm.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    resume: Annotated[bool, typer.Option(help="Resume the training in the folder.")] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other value: optimizer.rate=1e-4, classes.cortex=5 ..."),
    ] = None,
    *,
    console: ConsoleOptions,
) -> None:
    """Train a network on high-resolution volumes with label maps; with --init, fine-tune a model."""
    options: dict[str, Any] = {
        "output": output, "csv": csv, "bids": bids, "label": label or None, "init": init, "preset": preset,
        "epochs": epochs, "hours": hours, "slice_thickness": slice_thickness, "device": device, "title": title,
        "seed": seed, "resume": resume or None,
    }  # fmt: skip
    cancelled: list[str] = []
    progress = (
        console.progress if os.environ.get("LOCAL_RANK", "0") == "0" else "none"
    )  # one of several processes speaks

    def work() -> None:
        chosen = _configuration(config, options, setting or [])
        try:
            with reported(progress, console.cancel_file) as (report, should_stop):
                model = run_training(chosen, report, should_stop, lambda row: _show(progress, row))
        except Cancelled as error:
            cancelled.append(str(error))
            return
        if not leads():
            return
        if progress == "json":
            emit(progress, done=True, files=_files(model.parent))
        else:
            typer.echo(f"Model: {model}\nReport: {model.parent / 'report.md'}")

    status = run_guarded(work, console.debug)
    if cancelled:
        typer.echo(cancelled[0], file=sys.stderr)
        status = CANCELLED
    raise typer.Exit(status)


def _configuration(path: Path | None, options: dict[str, Any], settings: list[str]) -> TrainingConfig:
    values = {} if path is None else read_values(path)
    given = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
    values = merge(values, {key: value for key, value in given.items() if value is not None})
    for text in settings:
        values = merge(values, parse_setting(text))
    return make_config(values)


def _show(mode: str, row: Row) -> None:
    if mode == "json":
        emit(mode, epoch=row.epoch, loss=row.loss, psnr=row.psnr, psnr_spline=row.psnr_spline, dice=row.dice)
    elif mode == "none":
        typer.echo(row.line())


def _files(folder: Path) -> dict[str, str]:
    names = {"model": "model.safetensors", "report": "report.md", "log": "log.csv", "record": "result.json"}
    names |= {"curves": "curves.png", "examples": "examples.png"}
    return {key: str(folder / name) for key, name in names.items() if (folder / name).is_file()}
