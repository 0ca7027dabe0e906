"""The sub-commands of `segsrgan`, one a file: each only parses, calls the library and prints.

A sub-command's file imports torch and more. So it is imported when the sub-command runs, and the list of all of them
is shown without: this file knows their first lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from ..utils.notice import RESEARCH_USE_ONLY

COMMANDS = {
    "predict": "Make an isotropic super-resolved volume and a segmentation of the cortex, or of the model's classes.",
    "batch": "Enhance a whole cohort. Started again after an interruption, it goes on where it was.",
    "brain": (
        "Find the brain of a newborn, or of a fetus in its mother, in a T2-weighted scan; the mask has the scan's grid."
    ),
    "dicom": (
        "Write a finished result as DICOM into its scan's study, for instance after its segmentation was corrected."
    ),
    "train": "Train a network on high-resolution volumes with label maps; with --init, fine-tune a model.",
    "simulate": "Simulate thick slices: Gaussian slice profile, sampling, noise (eq. 1 of the paper).",
    "evaluate": "Measure PSNR and SSIM, and Dice, HD95, ASSD and volume bias of the segmentation.",
    "view": "Show scan, super-resolution, segmentation and quality maps side by side, in a browser, without a network.",
    "compare": "Compare systems on simulated thick slices of true volumes. Started again, it goes on where it was.",
    "pack": "Pack volumes and label maps for `python -m SegSRGANLib.training.timed`.",
    "demo": "Make a phantom, scan it with thick slices, super-resolve it, and show how close the result is.",
    "models": "List, download, import and remove models.",
}
_LOOKS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
}


class _OnDemand(TyperGroup):
    """A group that imports a sub-command when it is used."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A sub-command; while they are listed, only what the list shows."""
        if cmd_name not in COMMANDS:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        return _imported(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the sub-commands without importing them."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def build() -> typer.Typer:
    """The command-line application with all its sub-commands."""
    app = typer.Typer(
        cls=_OnDemand,
        help=f"Super-resolution and cortical segmentation of neonatal brain MRI. {RESEARCH_USE_ONLY}",
        no_args_is_help=True,
        **_LOOKS,
    )
    app.callback(invoke_without_command=True)(_version)
    return app


def _imported(name: str) -> Any:
    """The sub-command of this name."""
    module = import_module(f".{name}", __package__)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(**_LOOKS)
        app.command(name)(getattr(module, name))
    command = typer.main.get_command(app)
    command.name = name
    return command


def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
