"""`segsrgan models`: which models there are; download, import and remove them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..models.checkpoint import load_checkpoint, load_model
from ..models.onnx_export import export_brain_extractor, export_onnx
from ..models.registry import ModelEntry, find_model, list_models
from ..models.store import download_model, import_model, remove_model
from .console import emit, reported, run_guarded
from .options import CancelFile, Debug, Json, Overwrite, ProgressMode

app = typer.Typer(help="List, download, import and remove models.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Name of a model, see `segsrgan models list`.")]


@app.command("list")
def list_(as_json: Json = False, debug: Debug = False) -> None:
    """Show the models that can be picked by name, and which are on this computer."""

    def work() -> None:
        entries = list_models()
        if as_json:
            typer.echo(json.dumps([_values(entry) for entry in entries], indent=2))
            return
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            typer.echo(f"{entry.name:<{width}}  {_state(entry):<12}  {entry.error or entry.title}")

    raise typer.Exit(run_guarded(work, debug))


@app.command()
def info(name: _Name, as_json: Json = False, debug: Debug = False) -> None:
    """Show what is known of one model: a name of the list, or a .safetensors file."""

    def work() -> None:
        path = Path(name)
        if path.suffix == ".safetensors" or path.is_file():
            model = load_checkpoint(path)
            values = {**asdict(model.card), **_network(path), "sha256": model.sha256}
        else:
            entry = find_model(name)
            values = {**_values(entry), **(_network(entry.path) if entry.installed and not entry.error else {})}
        if as_json:
            typer.echo(json.dumps(values, indent=2))
        else:
            typer.echo("\n".join(f"{key.replace('_', ' '):<18} {value}" for key, value in values.items() if value))

    raise typer.Exit(run_guarded(work, debug))


@app.command()
def download(name: _Name, progress: ProgressMode = "bar", cancel_file: CancelFile = None, debug: Debug = False) -> None:
    """Fetch a listed model, check its content, and keep it in your data folder."""

    def work() -> None:
        with reported(progress, cancel_file) as (report, should_stop):
            entry = download_model(name, report, should_stop)
        _finish(entry, progress)

    raise typer.Exit(run_guarded(work, debug))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .safetensors model, or HDF5 weights of the original project.")],
    name: Annotated[str | None, typer.Option(help="Name to pick it by; by default the file's.")] = None,
    overwrite: Overwrite = False,
    progress: ProgressMode = "bar",
    debug: Debug = False,
) -> None:
    """Add a model file that you have; weights of the original project are converted."""

    def work() -> None:
        _finish(import_model(file, name, overwrite), progress)

    raise typer.Exit(run_guarded(work, debug))


@app.command()
def remove(name: _Name, debug: Debug = False) -> None:
    """Delete a downloaded or imported model from your data folder."""

    def work() -> None:
        remove_model(name)
        typer.echo(f"Removed {name}.")

    raise typer.Exit(run_guarded(work, debug))


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Name of a model, brain-extractor, or a .safetensors file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file.")],
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Write a model's network as ONNX, for other programs, and compare the two."""

    def work() -> None:
        if output.exists() and not overwrite:
            raise ValueError(f"{output} is already there; use --overwrite to replace it.")
        extractor = name == "brain-extractor"
        difference = export_brain_extractor(output) if extractor else export_onnx(load_model(name, "cpu"), output)
        typer.echo(f"{output}  (largest difference to the model on a random patch: {difference:.1e})")

    raise typer.Exit(run_guarded(work, debug))


def _finish(entry: ModelEntry, progress: str) -> None:
    if progress != "json":
        typer.echo(f"{entry.name} is ready: {entry.path}")
    emit(progress, done=True, name=entry.name, files={"model": str(entry.path)})


def _values(entry: ModelEntry) -> dict[str, Any]:
    return {**asdict(entry), "state": _state(entry), "path": str(entry.path)}


def _network(path: Path) -> dict[str, Any]:
    model = load_checkpoint(path)
    weights = sum(parameter.numel() for parameter in model.network.parameters())
    return {
        "architecture": type(model.network).__name__,
        "config": asdict(model.network.config),
        "classes": ", ".join(model.classes),
        "weights": weights,
    }


def _state(entry: ModelEntry) -> str:
    if entry.error:
        return "unusable"
    if entry.bundled:
        return "bundled"
    return "installed" if entry.installed else "downloadable"
