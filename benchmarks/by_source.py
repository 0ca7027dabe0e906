"""Intensities and tissues of a model on each source: newborns, and fetal atlases that it was not trained on.

    python benchmarks/by_source.py -o docs/tables/by_source [--model segsrgan] [--factors 2,3] [--subjects NAME,...]
        [--pictures FOLDER]

HR volume -> thick slices (along the second axis for scans of newborns, the third for atlases) -> the model with the
brain's mask -> PSNR and SSIM inside the brain beside the spline, the spline in agreement with the scan and the
band-limited truth; of each tissue the Dice, and of the cortex the Dice that forgives one voxel, ASSD and volume bias.
Writes a row a volume (CSV) and the means by source (Markdown); with --pictures three planes of each volume: the spline,
the result and the truth, with the cortex of both. Data: the folder in SEGSRGAN_DATA.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_labels, read_volume
from SegSRGANLib.metrics.image import psnr, ssim
from SegSRGANLib.metrics.segmentation import assd, dice, tolerant_dice, volume_bias
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.training.timed.recipes import CLASSES
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.band_limit import band_limited
from SegSRGANLib.transforms.data_consistency import enforce_data_consistency
from SegSRGANLib.transforms.resample import onto, upsample
from SegSRGANLib.visualization.comparison_picture import Column, draw_planes

SOURCES = {"gousias2012": 1, "fidon2021": 2, "xu2022": 2}  # axis (x, y, z) of the thick slices
INTENSITIES = ("spline", "agreement", "band_limited", "model")


def main() -> None:
    """Measure, and write the rows as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="path of the tables, without extension")
    parser.add_argument("--model", default="segsrgan")
    parser.add_argument("--factors", default="2,3")
    parser.add_argument("--subjects", default="", help="names separated by commas; default: all")
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    root = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    wanted, model, rows = arguments.subjects.split(","), load_model(arguments.model, "auto"), []
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        for source, axis in SOURCES.items():
            for folder in sorted((root / source).glob("sub-*")):
                stem = folder / "anat" / folder.name
                if (wanted == [""] or folder.name in wanted) and Path(f"{stem}_T2w.nii.gz").is_file():
                    for row in _rows(source, stem, axis, model, arguments):
                        rows.append(row)
                        writer = csv.DictWriter(file, list(row))
                        if len(rows) == 1:
                            writer.writeheader()
                        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
                        file.flush()
                        print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()), flush=True)
    text = markdown(rows)
    arguments.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def _rows(source: str, stem: Path, axis: int, model: Model, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    hr, labels = read_volume(f"{stem}_T2w.nii.gz"), read_labels(f"{stem}_dseg.nii.gz")
    brain = read_labels(f"{stem}_desc-brain_mask.nii.gz")
    for factor in map(float, arguments.factors.split(",")):
        spacing = list(hr.GetSpacing())
        spacing[axis] *= factor
        scan = acquire(hr, spacing)
        options = EnhanceOptions(spacing=hr.GetSpacing(), prediction=PredictionOptions(arguments.patch))
        result = enhance(scan, model, options, mask=brain)
        row: dict[str, Any] = {"source": source, "subject": stem.name, "factor": factor}
        row |= _intensities(hr, scan, brain, result.sr)
        row |= _tissues(labels, result.labels, model)
        if arguments.pictures is not None:
            _draw(hr, labels, scan, result, row, arguments.pictures)
        yield row


def _draw(
    hr: sitk.Image, labels: sitk.Image, scan: sitk.Image, result: Enhancement, row: dict[str, Any], folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cortex = Grid.of(labels).image(np.isin(sitk.GetArrayFromImage(labels), CLASSES["cortex"]).astype(np.uint8))
    found = f"Dice {row['dice cortex']:.3f}, {row['psnr_model']:.1f} dB"
    columns = [
        Column("Spline", upsample(scan, Grid.of(hr))),
        Column(found, onto(result.sr, hr), onto(result.labels, labels) == 1),
        Column("Truth", hr, cortex),
    ]
    name = f"{row['subject']}_factor-{row['factor']:g}"
    draw_planes(columns, folder / f"{name}.png", f"{row['subject']}, slices {row['factor']:g} times as thick")


def _intensities(hr: sitk.Image, scan: sitk.Image, brain: sitk.Image, sr: sitk.Image) -> dict[str, float]:
    truth, inside = sitk.GetArrayFromImage(sitk.Cast(hr, sitk.sitkFloat32)), sitk.GetArrayFromImage(brain) > 0
    spline = upsample(scan, Grid.of(hr))
    limited = band_limited(hr, scan.GetSpacing())
    images = (spline, enforce_data_consistency(scan, spline), limited, onto(sr, hr))
    peak, figures = float(truth.max()), {}
    for name, image in zip(INTENSITIES, images, strict=True):
        estimate = sitk.GetArrayFromImage(image)
        figures[f"psnr_{name}"] = psnr(truth / peak, estimate / peak, inside)
        if name != "agreement":
            figures[f"ssim_{name}"] = ssim(truth / peak, estimate / peak, inside)
    return figures


def _tissues(labels: sitk.Image, found: sitk.Image, model: Model) -> dict[str, float | None]:
    truth, own = sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(onto(found, labels))
    figures: dict[str, float | None] = {}
    for number, name in enumerate(model.classes, start=1):
        figures[f"dice {name}"] = dice(np.isin(truth, CLASSES[name]), own == number) if name in CLASSES else None
    cortex = np.isin(truth, CLASSES["cortex"])
    figures["tolerant dice"] = tolerant_dice(cortex, own == 1)
    figures["assd_mm"] = assd(cortex, own == 1, labels.GetSpacing()[::-1])
    figures["bias_percent"] = volume_bias(cortex, own == 1)
    return figures


def markdown(rows: list[dict[str, Any]]) -> str:
    """Means by source and factor, with the standard deviation of what matters most."""
    columns = ("source", "n", "factor", "PSNR spline", "with agreement", "band-limited truth", "model", "gain")
    columns += ("SSIM spline", "model", "Dice cortex", "forgiving one voxel", "ASSD mm", "volume bias %")
    lines = ["| " + " | ".join(columns) + " |"]
    lines.append("|---" * 14 + "|")
    tissues = ["| source | factor | " + " | ".join(k[5:] for k in rows[0] if k.startswith("dice ")) + " |"]
    tissues.append("|---" * (tissues[0].count("|") - 1) + "|")
    for source, factor in dict.fromkeys((row["source"], row["factor"]) for row in rows):
        kept = [row for row in rows if (row["source"], row["factor"]) == (source, factor)]
        gains = [row["psnr_model"] - row["psnr_spline"] for row in kept]
        cells = [source, str(len(kept)), f"{factor:g}", *(f"{_mean(kept, 'psnr_' + name):.2f}" for name in INTENSITIES)]
        cells += [f"{np.mean(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})"]
        cells += [f"{_mean(kept, 'ssim_' + name):.3f}" for name in ("spline", "model")]
        spread = np.std([row["dice cortex"] for row in kept])
        cells += [f"{_mean(kept, 'dice cortex'):.3f} ± {spread:.3f}", f"{_mean(kept, 'tolerant dice'):.3f}"]
        cells += [f"{_mean(kept, 'assd_mm'):.2f}", f"{_mean(kept, 'bias_percent'):+.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
        dices = [f"{_mean(kept, key):.3f}" for key in rows[0] if key.startswith("dice ")]
        tissues.append(f"| {source} | {factor:g} | " + " | ".join(dices) + " |")
    return "\n".join([*lines, "", "Dice of each tissue:", "", *tissues]) + "\n"


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


if __name__ == "__main__":
    main()
