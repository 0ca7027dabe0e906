"""`segsrgan evaluate`: how close a result is to the truth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import numpy as np
import SimpleITK as sitk
import typer

from ..io.volume import read_labels, read_volume
from ..metrics.evaluation import evaluate as evaluate_images
from .console import run_guarded
from .options import Debug, Json


def evaluate(
    sr: Annotated[Path, typer.Option(help="Super-resolved volume.")],
    hr: Annotated[Path, typer.Option(help="True high-resolution volume; what both have in common is compared.")],
    labels: Annotated[Path | None, typer.Option(help="Segmentation to judge.")] = None,
    truth: Annotated[Path | None, typer.Option(help="True segmentation.")] = None,
    truth_label: Annotated[int | None, typer.Option(help="Label of the cortex, when the truth holds several.")] = None,
    label: Annotated[int, typer.Option(help="Label of the cortex in the segmentation, when it holds several.")] = 1,
    mask: Annotated[Path | None, typer.Option(help="Brain mask.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure PSNR and SSIM, and Dice, HD95, ASSD and volume bias of the segmentation."""

    def work() -> None:
        if (labels is None) != (truth is None):
            raise ValueError("To judge a segmentation give both --labels and --truth.")
        maps = [None if path is None else read_labels(path) for path in (labels, truth, mask)]
        if maps[0] is not None and len(np.unique(sitk.GetArrayViewFromImage(maps[0]))) > 2:
            maps[0] = maps[0] == label
        figures = evaluate_images(
            read_volume(sr), read_volume(hr), labels=maps[0], truth=maps[1], mask=maps[2], truth_label=truth_label
        )
        if as_json:
            # JSON has no infinity (the PSNR of equal volumes) and no nan (distances of an empty segmentation)
            known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
            typer.echo(json.dumps(known, indent=2, allow_nan=False))
        else:
            width = max(map(len, figures))
            typer.echo("\n".join(f"{name:<{width}}  {value:.4f}" for name, value in figures.items()))

    raise typer.Exit(run_guarded(work, debug))
