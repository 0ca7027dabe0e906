"""Options that several sub-commands share: each is declared once, with its type, help text and default.

Options that are given together are the fields of a frozen dataclass. A command takes such a dataclass as one parameter,
and `with_options` turns it into one option of the shell for each field.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from ..inference.options import AUTO, EnhanceOptions
from ..inference.predictor import PredictionOptions
from ..models.registry import DEFAULT_MODEL
from ..transforms.resample import INTERPOLATORS
from ..utils.triples import triple

Axis = Annotated[int, typer.Option(min=0, max=2, help="Axis of the slices: 0, 1 or 2 for x, y or z.")]
CancelFile = Annotated[Path | None, typer.Option(hidden=True, help="Stop when this file appears.")]
Debug = Annotated[bool, typer.Option(help="Show the traceback of an error.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")]
InPlane = Annotated[
    float | None, typer.Option(help="Spacing inside the slices, mm; finer than the volume's is interpolated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Name of a listed model, or a .safetensors file.")]
Mask = Annotated[
    str,
    typer.Option(
        metavar="FILE|auto|none", help="Brain mask; auto: find the brain; none: the volume is a brain already."
    ),
]
Overwrite = Annotated[bool, typer.Option(help="Replace results that are already there.")]
ProgressMode = Annotated[str, typer.Option("--progress", metavar="bar|json|none", help="Progress display.")]
Pairs = Annotated[
    str | None,
    typer.Option(metavar="PATCH:STEP,...", help="Several runs, voxels; each into a folder patch-PATCH_step-STEP."),
]
Series = Annotated[str | None, typer.Option(help="Which DICOM series, when the folder holds several.")]


@dataclass(frozen=True)
class ConsoleOptions:
    """How a command speaks and is stopped."""

    progress: ProgressMode = "bar"
    cancel_file: CancelFile = None
    debug: Debug = False


@dataclass(frozen=True)
class TargetOptions:
    """What is to be made, and by which model."""

    spacing: Annotated[
        str,
        typer.Option(
            metavar="MM|X,Y,Z|auto",
            help="Output spacing, mm, one number or three; auto: the scan's inside its slices, within what the model "
            "was trained for.",
        ),
    ] = str(EnhanceOptions.spacing)
    model: ModelName = DEFAULT_MODEL

    def parsed_spacing(self) -> float | tuple[float, float, float] | str:
        """The spacing that was asked for: a number in mm, three along the scan's axes, or auto.

        Raises:
            ValueError: it is none of these.
        """
        if self.spacing == AUTO:
            return AUTO
        try:
            numbers = [float(part) for part in self.spacing.split(",")]
            return numbers[0] if len(numbers) == 1 else triple(numbers)
        except ValueError:
            raise ValueError(f"--spacing takes one number in mm, or X,Y,Z, or auto, not {self.spacing!r}.") from None


@dataclass(frozen=True)
class NetworkOptions:
    """How the network runs: fields of `PredictionOptions`."""

    device: Device = PredictionOptions.device
    precision: Annotated[
        str,
        typer.Option(metavar="auto|float32|bfloat16", help="Precision; auto: bfloat16 where faster and very close."),
    ] = PredictionOptions.precision
    patch: Annotated[int, typer.Option(help="Side of a patch, voxels; 0: the whole volume at once.")] = (
        PredictionOptions.patch
    )
    overlap: Annotated[float, typer.Option(help="Overlap of neighbouring patches, as a share of their side.")] = (
        PredictionOptions.overlap
    )

    def build(self) -> PredictionOptions:
        """The library's options with these values.

        Raises:
            ValueError: a value that cannot be.
        """
        return PredictionOptions(**vars(self))


@dataclass(frozen=True)
class ProcessingOptions:
    """What is done before and after the network: fields of `EnhanceOptions`."""

    interpolator: Annotated[str, typer.Option(metavar="|".join(INTERPOLATORS), help="First interpolation.")] = (
        EnhanceOptions.interpolator
    )
    threshold: Annotated[float, typer.Option(help="Probability from which a voxel is cortex, or another class.")] = (
        EnhanceOptions.threshold
    )
    bias_correction: Annotated[bool, typer.Option("--bias-correction", help="Bias field correction (N4) first.")] = (
        EnhanceOptions.bias_correction
    )
    consistency: Annotated[
        bool,
        typer.Option("--consistency/--no-consistency", help="Data consistency: intensities that agree with the scan."),
    ] = EnhanceOptions.consistency
    refinement: Annotated[
        bool,
        typer.Option(
            "--refinement/--no-refinement",
            help="Refinement: borders of the tissues where the intensities change, if the classes fill the brain.",
        ),
    ] = EnhanceOptions.refinement
    uncertainty: Annotated[
        int,
        typer.Option(metavar="N", help="Runs on mirrored and shifted copies, to map where the model is unsure."),
    ] = EnhanceOptions.uncertainty
    as_original: Annotated[
        bool | None,
        typer.Option(
            "--as-original/--not-as-original",
            help="Run the network as the original project does; default: as its model card says.",
            show_default=False,
        ),
    ] = EnhanceOptions.as_original

    def build(self, target: TargetOptions, network: NetworkOptions) -> EnhanceOptions:
        """The library's options with these values.

        Raises:
            ValueError: a value that cannot be.
        """
        return EnhanceOptions(target.parsed_spacing(), prediction=network.build(), **vars(self))


@dataclass(frozen=True)
class FileOptions:
    """What is read and written: fields of `BatchOptions`."""

    geometry: Annotated[
        str | None,
        typer.Option(metavar="qform|sform", help="Affine to use where the two of a NIfTI file disagree."),
    ] = None
    maps: Annotated[bool, typer.Option("--maps", help="Also write the maps of consistency and uncertainty.")] = False
    report: Annotated[bool, typer.Option("--report", help="Also write pages for a browser.")] = False
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Also write DICOM into the scan's study: MR series and SEG.")
    ] = False
    overwrite: Overwrite = False


def runs_of(pairs: str | None, common: EnhanceOptions) -> dict[str, EnhanceOptions]:
    """The options of each run by the folder that it gets; one run goes into the output folder itself.

    Args:
        pairs: of `--pairs`. common: what all runs share.

    Raises:
        ValueError: pairs that cannot be read.
    """
    if pairs is None:
        return {"": common}
    runs = {}
    for pair in pairs.split(","):
        match = re.fullmatch(r"(\d+):(\d+)", pair.strip())
        if match is None or not 0 < int(match[2]) <= int(match[1]):
            raise ValueError(f"--pairs takes PATCH:STEP in voxels, the step at most the patch, not {pair.strip()!r}.")
        side, step = int(match[1]), int(match[2])
        prediction = replace(common.prediction, patch=side, overlap=1 - step / side)
        runs[f"patch-{side}_step-{step}"] = replace(common, prediction=prediction)
    return runs


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of a dataclass are one option of the shell for each field, in their place.

    Args:
        command: function whose parameters can all be given by name; those of a dataclass have no default.

    Returns:
        The same function for typer: it takes the fields, builds the dataclasses and calls the command.
    """
    kinds: dict[str, Any] = {}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation):
            kinds[parameter.name] = parameter.annotation
            options += inspect.signature(parameter.annotation, eval_str=True).parameters.values()
        else:
            options.append(parameter)

    @wraps(command)
    def expanded(**values: Any) -> None:
        built = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)}) for name, kind in kinds.items()
        }
        command(**values, **built)

    by_name = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    expanded.__signature__ = inspect.Signature(by_name)  # ty: ignore[missing-attribute]  # what typer reads
    expanded.__annotations__ = {option.name: option.annotation for option in options}
    return expanded
