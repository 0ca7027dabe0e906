"""Options that several commands share: one declaration each, its default from the library."""

from __future__ import annotations

import inspect
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from SegSRGANLib.cli.batch import batch
from SegSRGANLib.cli.options import (
    ConsoleOptions,
    NetworkOptions,
    ProcessingOptions,
    TargetOptions,
    with_options,
)
from SegSRGANLib.cli.predict import predict
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions


def test_without_options_the_library_decides():
    assert ProcessingOptions().build(TargetOptions(), NetworkOptions()) == EnhanceOptions()


def test_every_option_arrives_in_the_library():
    network = NetworkOptions("cpu", "float32", 64, 0.25)
    processing = ProcessingOptions("linear", 0.4, True, False, False, 3, True)
    prediction = PredictionOptions(64, 0.25, None, "cpu", "float32")
    expected = EnhanceOptions(0.7, "linear", True, 0.4, prediction, False, False, 3, as_original=True)
    assert processing.build(TargetOptions("0.7"), network) == expected


def test_predict_and_batch_share_their_options():
    first, second = (inspect.signature(command).parameters for command in (predict, batch))
    shared = [name for name in first if name in second and name not in ("mask", "outdir")]
    assert len(shared) == 22
    for name in shared:
        assert first[name].default == second[name].default
        assert vars(first[name].annotation.__metadata__[0]) == vars(second[name].annotation.__metadata__[0])


def test_a_dataclass_becomes_options_in_its_place():
    seen = []

    @with_options
    def command(
        *, console: ConsoleOptions, number: Annotated[int, typer.Option()] = 1, network: NetworkOptions
    ) -> None:
        """Do nothing."""
        seen.append((console, number, network))

    names = ["progress", "cancel_file", "debug", "number", "device", "precision", "patch", "overlap"]
    assert list(inspect.signature(command).parameters) == names
    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["--progress", "json", "--patch", "48", "--number", "2"]).exit_code == 0
    assert seen == [(ConsoleOptions("json"), 2, NetworkOptions(patch=48))]


def test_a_spacing_is_one_number_or_three_or_auto():
    assert TargetOptions("auto").parsed_spacing() == "auto"
    assert TargetOptions("0.5").parsed_spacing() == 0.5
    assert TargetOptions("0.5,0.6, 1").parsed_spacing() == (0.5, 0.6, 1.0)
    with pytest.raises(ValueError, match="--spacing takes one number in mm, or X,Y,Z, or auto, not 'thin'"):
        TargetOptions("thin").parsed_spacing()
