"""How the model does along other axes, with thinner and thicker slices, and at other output spacings.

    export SEGSRGAN_DATA=/folder/of/gholipour2017/and/fidon2021
    python benchmarks/resolutions.py [--subjects sub-SBA29op sub-SBA31op] [--model segsrgan]

One thing at a time differs from slices of 3 mm along the third axis at 0.8 mm. The true volumes have 0.8 mm: at finer
spacings they are interpolated, and hold no finer detail; at coarser ones they are acquired anew. Prints means over the
subjects as a Markdown table.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.comparison.subjects import Volumes, find_cases, load_volumes
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.metrics.evaluation import evaluate
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import onto, upsample

CORTEX = 5
AXES = ("first", "second", "third")
# output spacing (mm), slice thickness (mm), axis of the slices
SETTINGS = (
    *((0.8, 3.0, axis) for axis in range(3)),
    *((0.8, thickness, 2) for thickness in (1.2, 2.0, 4.0, 6.0)),
    *((spacing, 3.0, 2) for spacing in (0.5, 0.65, 1.0, 1.2)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", default=["sub-SBA29op", "sub-SBA31op"])
    parser.add_argument("--model", default="segsrgan")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    data = Path(os.environ["SEGSRGAN_DATA"]) / "fidon2021"
    volumes = [load_volumes(case, CORTEX) for case in find_cases(data) if case.name in arguments.subjects]
    model = load_model(arguments.model, arguments.device)
    print("| spacing, mm | slices, mm | along | spline, dB | SegSRGAN, dB | Dice |\n|---|---|---|---|---|---|")
    for row in rows(volumes, model):
        print(row, flush=True)


def rows(volumes: list[Volumes], model: Model) -> Iterator[str]:
    """One row of the table for each setting: PSNR in the brain of spline and model, Dice of the cortex."""
    for spacing, thickness, axis in SETTINGS:
        spline, psnr, dice = np.mean([figures(v, model, spacing, thickness, axis) for v in volumes], axis=0)
        name = f"{AXES[axis]} axis"
        yield f"| {spacing} | {thickness} | {name} | {spline:.2f} | {psnr:.2f} | {dice:.3f} |"


def figures(volumes: Volumes, model: Model, spacing: float, thickness: float, axis: int) -> tuple[float, float, float]:
    """PSNR of the spline and of the model in the brain, dB, and the model's Dice."""
    hr = at_spacing(volumes.hr, spacing)
    truth, mask = (at_spacing(volume, spacing) >= 0.5 for volume in (volumes.truth, volumes.mask))
    slices = [thickness if k == axis else spacing for k in range(3)]
    scan = acquire(hr, slices)
    result = enhance(scan, model, EnhanceOptions(spacing))
    spline = evaluate(onto(upsample(scan, output_grid(Grid.of(scan), spacing)), hr), hr, mask=mask)
    ours = evaluate(onto(result.sr, hr), hr, labels=onto(result.labels == 1, hr), truth=truth, mask=mask)
    return spline["psnr_mask"], ours["psnr_mask"], ours["dice"]


def at_spacing(volume: sitk.Image, spacing: float) -> sitk.Image:
    """A volume, or the share of a label in each voxel, at another isotropic spacing, float32."""
    if spacing < volume.GetSpacing()[0]:
        return upsample(volume, output_grid(Grid.of(volume), spacing))
    return acquire(volume, (spacing,) * 3)


if __name__ == "__main__":
    main()
