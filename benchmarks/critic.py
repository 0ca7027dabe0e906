"""What does the critic do? The same generator before and after adversarial training, on newborns it was not trained on.

    python benchmarks/critic.py BEFORE.safetensors AFTER.safetensors -o docs/tables/critic.md [--factors 2,3]

HR volume -> thick slices along the second axis -> each network alone (no agreement with the scan) -> PSNR and SSIM in
the brain, Dice of the cortex, and the energy of the result over that of the truth by spatial frequency along the thick
axis (1: as sharp as the truth). Beside them the spline. Data: the folder in SEGSRGAN_DATA.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_labels, read_volume
from SegSRGANLib.metrics.image import psnr, ssim
from SegSRGANLib.metrics.segmentation import dice
from SegSRGANLib.metrics.spectrum import BANDS, energy_ratios
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.training.timed.recipes import CLASSES
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import onto, upsample

SUBJECTS = ("sub-ALBERT01", "sub-ALBERT08", "sub-ALBERT16")  # fold 1
AXIS = 1  # (x, y, z) of the thick slices; of arrays (z, y, x) too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="the generator after the content losses")
    parser.add_argument("after", help="the same after adversarial training")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Markdown file of the table")
    parser.add_argument("--factors", default="2,3")
    arguments = parser.parse_args()
    root = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    models = {
        "content losses": load_model(arguments.before, "cpu"),
        "with the critic": load_model(arguments.after, "cpu"),
    }
    lines = ["| factor | | PSNR dB | SSIM | Dice cortex | " + " | ".join(f"{a:g} to {b:g}" for a, b in BANDS) + " |"]
    lines.append("|---" * (5 + len(BANDS)) + "|")
    for factor in map(float, arguments.factors.split(",")):
        rows = [dict(_measured(root / "gousias2012" / subject, factor, models)) for subject in SUBJECTS]
        for name in rows[0]:
            mean = np.mean([row[name] for row in rows], axis=0)
            cells = [f"{mean[0]:.2f}", f"{mean[1]:.4f}", f"{mean[2]:.3f}" if name in models else ""]
            lines.append(f"| {factor:g} | {name} | " + " | ".join(cells + [f"{v:.2f}" for v in mean[3:]]) + " |")
            print(lines[-1], flush=True)
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _measured(folder: Path, factor: float, models: dict[str, Model]) -> Iterator[tuple[str, list[float]]]:
    """For the spline and each model: PSNR, SSIM, Dice, and the ratio of energies in each band."""
    stem = folder / "anat" / folder.name
    hr, labels = read_volume(f"{stem}_T2w.nii.gz"), read_labels(f"{stem}_dseg.nii.gz")
    brain = read_labels(f"{stem}_desc-brain_mask.nii.gz")
    spacing = [s * factor if k == AXIS else s for k, s in enumerate(hr.GetSpacing())]
    scan, cortex = acquire(hr, spacing), np.isin(sitk.GetArrayFromImage(labels), CLASSES["cortex"])
    yield "spline", _figures(hr, brain, upsample(scan, Grid.of(hr)), float("nan"))
    for name, model in models.items():
        options = EnhanceOptions(spacing=hr.GetSpacing(), consistency=False, prediction=PredictionOptions(128))
        result = enhance(scan, model, options, mask=brain)
        overlap = dice(cortex, sitk.GetArrayFromImage(onto(result.labels, labels)) == 1)
        yield name, _figures(hr, brain, onto(result.sr, hr), overlap)


def _figures(hr: sitk.Image, brain: sitk.Image, image: sitk.Image, overlap: float) -> list[float]:
    """PSNR, SSIM, the Dice of the cortex (NaN where there is none), and the ratio of energies in each band."""
    truth, estimate = (sitk.GetArrayFromImage(sitk.Cast(v, sitk.sitkFloat32)) for v in (hr, image))
    inside, peak = sitk.GetArrayFromImage(brain) > 0, float(truth.max())
    truth, estimate = truth / peak, estimate / peak
    ratios = energy_ratios(truth, estimate, inside, AXIS)
    return [psnr(truth, estimate, inside), ssim(truth, estimate, inside), overlap, *ratios.values()]


if __name__ == "__main__":
    main()
