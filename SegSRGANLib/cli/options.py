"""Options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..inference.options import AUTO

Overwrite = Annotated[bool, typer.Option(help="Replace results that are already there.")]
Debug = Annotated[bool, typer.Option(help="Show the traceback of an error.")]
ProgressMode = Annotated[str, typer.Option("--progress", metavar="bar|json|none", help="How to show the progress.")]
CancelFile = Annotated[Path | None, typer.Option(hidden=True, help="Stop when this file appears.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Name of a listed model, or a .safetensors file.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")]
Precision = Annotated[
    str, typer.Option(metavar="auto|float32|bfloat16", help="auto: bfloat16 where faster and very close.")
]
Patch = Annotated[int, typer.Option(help="Side of a patch, voxels; 0: the whole volume at once.")]
Overlap = Annotated[float, typer.Option(help="Share of a patch in common with the next one.")]
Spacing = Annotated[
    str,
    typer.Option(
        metavar="MM|auto",
        help="Isotropic output spacing, mm; auto: the scan's inside its slices, within what the model was trained for.",
    ),
]
Mask = Annotated[
    str,
    typer.Option(
        metavar="FILE|auto|none", help="Brain mask; auto: find the brain; none: the volume is a brain already."
    ),
]
Threshold = Annotated[float, typer.Option(help="Probability from which a voxel is cortex, or another class.")]
BiasCorrection = Annotated[bool, typer.Option("--bias-correction", help="Correct the bias field (N4) first.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Consistency = Annotated[
    bool,
    typer.Option("--consistency/--no-consistency", help="Bring the intensities to agreement with the scan."),
]
Uncertainty = Annotated[
    int, typer.Option(metavar="N", help="Runs on mirrored and shifted copies, to show what the model is unsure of.")
]
Maps = Annotated[bool, typer.Option("--maps", help="Also write the maps of consistency and uncertainty.")]
Report = Annotated[bool, typer.Option("--report", help="Also write pages for a browser.")]
Dicom = Annotated[bool, typer.Option("--dicom", help="Also write DICOM into the scan's study: MR series and SEG.")]
AsOriginal = Annotated[
    bool | None,
    typer.Option(
        "--as-original/--not-as-original",
        help="Run the network as the original project does; default: as its model card says.",
        show_default=False,
    ),
]
Geometry = Annotated[
    str | None,
    typer.Option(metavar="qform|sform", help="Which of the two counts, for a NIfTI file where they disagree."),
]


def parsed_spacing(text: str) -> float | str:
    """The spacing that was asked for: a number in mm, or auto.

    Raises:
        ValueError: it is neither.
    """
    if text == AUTO:
        return AUTO
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--spacing takes a number in mm or auto, not {text!r}.") from None
