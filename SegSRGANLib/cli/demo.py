"""`segsrgan demo`: the whole chain on a procedural brain, with its truth beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import SimpleITK as sitk
import typer

from ..data.grid import Grid
from ..datasets.phantom import CORTEX, Phantom, neonatal_phantom
from ..inference.brain.choice import AUTO
from ..inference.enhancement import Enhancement
from ..inference.options import EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.predictor import PredictionOptions
from ..io.volume import write_volume
from ..metrics.evaluation import evaluate
from ..models.checkpoint import load_model
from ..models.registry import DEFAULT_MODEL
from ..results.files import check_writable, save_enhancement
from ..results.paths import result_paths
from ..results.provenance import describe_sources
from ..transforms.acquisition import acquire
from ..transforms.resample import onto, upsample
from ..utils.atomic_files import atomic_path
from ..utils.progress import Progress, ShouldStop, scaled
from ..visualization.comparison_picture import Column, draw_planes
from .console import reported, run_guarded
from .options import Debug, Device, ModelName, Overwrite, ProgressMode

_NAME = "phantom"
_SHOWN = {
    "psnr": "PSNR (dB)",
    "psnr_mask": "PSNR in brain (dB)",
    "ssim": "SSIM",
    "ssim_mask": "SSIM in brain",
    "dice": "Dice of cortex",
    "assd": "ASSD of cortex (mm)",
}


def demo(
    outdir: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path("demo-output"),
    model: ModelName = DEFAULT_MODEL,
    slice_thickness: Annotated[float, typer.Option(help="Slice thickness of the simulated acquisition, mm.")] = 3.0,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Random seed of the phantom.")] = 0,
    overwrite: Overwrite = True,
    progress: ProgressMode = "bar",
    debug: Debug = False,
) -> None:
    """Make a phantom, scan it with thick slices, super-resolve it, and show how close the result is."""

    def work() -> None:
        with reported(progress) as (report, should_stop):
            result = run_demo(outdir, model, slice_thickness, device, seed, overwrite, report, should_stop)
        typer.echo(result.table())
        typer.echo(f"\nPicture: {result.picture}")

    raise typer.Exit(run_guarded(work, debug))


@dataclass(frozen=True)
class DemoResult:
    """Where the picture is, and the figures of interpolation and model, by name."""

    picture: Path
    figures: dict[str, dict[str, float]]

    def table(self) -> str:
        """The figures as text, one measure a line; interpolation does not segment."""
        lines = [f"{'':<22}{'spline':>10}{'model':>10}"]
        for key, title in _SHOWN.items():
            values = [self.figures[system].get(key) for system in ("spline", "model")]
            lines.append(f"{title:<22}" + "".join(f"{'-' if v is None else format(v, '.3f'):>10}" for v in values))
        return "\n".join(lines)


def run_demo(
    outdir: str | Path,
    model_name: str | Path,
    slice_thickness: float,
    device: str,
    seed: int,
    overwrite: bool,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> DemoResult:
    """Run the demonstration and write its volumes, pictures and record.

    Args:
        outdir: folder, made if missing.
        model_name: see `load_model`.
        slice_thickness: of the simulated acquisition, mm.
        device: see `devices.choose_device`.
        seed: of the phantom.
        overwrite: replace an earlier demonstration.
        progress: called with (fraction, message).
        should_stop: asked between patches.

    Raises:
        ValueError: output that cannot be written, or a model that cannot be used.
        Cancelled: should_stop said so.
    """
    outdir = Path(outdir)
    picture = outdir / "demo.png"
    inputs = {role: outdir / f"{_NAME}_{role}.nii.gz" for role in ("truth", "labels", "thick")}
    check_writable([picture, *inputs.values(), *result_paths(outdir, _NAME, brain="mask").values()], overwrite)
    report = scaled(progress, 0, 1)
    report(0.0, "Drawing the phantom")
    phantom = neonatal_phantom(seed=seed)
    spacing = phantom.t2w.GetSpacing()
    thick = acquire(phantom.t2w, (*spacing[:2], slice_thickness))
    model = load_model(model_name, device)
    options = EnhanceOptions(spacing=spacing, prediction=PredictionOptions(device=device))
    part = scaled(progress, 0.1, 0.8)
    result = enhance(thick, model, options, mask=AUTO, progress=part, should_stop=should_stop)
    report(0.85, "Comparing with the truth")
    columns, figures = _compare(result, phantom, thick, f"scan, {slice_thickness:g} mm slices")
    report(0.92, "Writing")
    for role, volume in zip(inputs, (phantom.t2w, phantom.labels, thick), strict=True):
        write_volume(volume, inputs[role])
    result.record["input"] |= describe_sources(inputs["thick"])  # where `segsrgan view` finds the scan
    save_enhancement(result, thick, outdir, _NAME, overwrite)
    with atomic_path(picture) as temporary:
        draw_planes(columns, temporary, "A procedural phantom: the cortex as found, and as it is")
    report(1.0, "Done")
    return DemoResult(picture, figures)


def _compare(
    result: Enhancement, phantom: Phantom, thick: sitk.Image, title: str
) -> tuple[list[Column], dict[str, dict[str, float]]]:
    """What the picture shows, from left to right, and the figures of interpolation and model."""
    spline = onto(upsample(thick, Grid.of(result.sr)), phantom.t2w)
    sr = onto(result.sr, phantom.t2w)
    cortex = None if result.labels is None else onto(result.labels == 1, phantom.t2w)  # the first class
    truth = phantom.labels == CORTEX
    figures = {
        "spline": evaluate(spline, phantom.t2w, mask=phantom.mask),
        "model": evaluate(sr, phantom.t2w, cortex, None if cortex is None else truth, phantom.mask),
    }
    columns = [
        Column(title, thick),
        Column("spline", spline),
        Column("SegSRGAN", sr, cortex),
        Column("truth", phantom.t2w, truth),
    ]
    return columns, figures
