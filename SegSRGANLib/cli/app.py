"""The sub-commands of `segsrgan`, one a file: each only parses, calls the library and prints."""

from __future__ import annotations

import typer

from .. import __version__
from ..utils.notice import RESEARCH_USE_ONLY
from . import models
from .batch import batch
from .brain import brain
from .compare import compare
from .demo import demo
from .evaluate import evaluate
from .pack import pack
from .predict import predict
from .simulate import simulate
from .train import train
from .view import view


def build() -> typer.Typer:
    """The command-line application with all its sub-commands."""
    app = typer.Typer(
        help=f"Super-resolution and cortical segmentation of neonatal brain MRI. {RESEARCH_USE_ONLY}",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    for command in (predict, batch, brain, train, simulate, evaluate, view, compare, pack, demo):
        app.command()(command)
    app.add_typer(models.app, name="models")
    app.callback(invoke_without_command=True)(_version)
    return app


def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
