"""Do the measures of quality, which know no truth, tell good results from bad ones?

    python benchmarks/quality_measures.py -o docs/quality [--model segsrgan] [--factors 3,6] [--runs 4]

HR volume -> observation model with noise -> model -> measures, beside the true error. Then failures are planted into
the result: an erased lesion (also drawn into the truth, so that the scan shows it), slices that changed places, a
shifted slab, a result stretched by 2.5 % along the slices. Writes one CSV row per subject, factor and planting, and a
Markdown table: correlation of the measures with the true error, over results and over 4 mm blocks inside each brain;
how often each planting raises a warning; what the consistency projection does to PSNR.
Data: the folder in the environment variable SEGSRGAN_DATA (default: shared/data beside the repository).
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import stats

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_labels, read_volume
from SegSRGANLib.metrics.image import psnr
from SegSRGANLib.metrics.segmentation import dice
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.quality.assessment import quality_warnings
from SegSRGANLib.quality.consistency import acquisition_consistency
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.data_consistency import enforce_data_consistency
from SegSRGANLib.transforms.resample import onto, upsample

CORTEX = 5
NOISES = (0.005, 0.02)  # of the maximum of the truth: a quiet and a noisy scan
PLANTED = ("nothing", "erased lesion", "swapped slices", "shifted slab", "wrong spacing")
BLOCK = 5  # voxels of a side: 4 mm
MEASURES = ("consistency_db", "consistency_z", "slice_z", "deviation_percent", "entropy_bits")
BLOCKWISE = ("blocks_deviation", "blocks_consistency")
COLUMNS = ("subject", "factor", "noise", "planted", "psnr", "dice", "psnr_projected", *MEASURES, *BLOCKWISE, "warned")


def main() -> None:
    """Measure, and write the rows as they come, so that a broken run can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="path of the tables, without extension")
    parser.add_argument("--model", default="segsrgan")
    parser.add_argument("--factors", default="3,6")
    parser.add_argument("--runs", type=int, default=4, help="of the uncertainty")
    parser.add_argument("--patch", type=int, default=128, help="0 predicts whole volumes")
    parser.add_argument("--subjects", default="", help="names separated by commas; default: all")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    root = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    wanted = [name for name in arguments.subjects.split(",") if name]
    subjects = [p for p in sorted((root / "fidon2021").glob("sub-*")) if not wanted or p.name in wanted]
    if not subjects:
        parser.error(f"no subjects in {root / 'fidon2021'}; set SEGSRGAN_DATA")
    model = load_model(arguments.model, arguments.device)
    options = EnhanceOptions(
        uncertainty=arguments.runs,
        prediction=PredictionOptions(arguments.patch, device=arguments.device),
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    with arguments.output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for subject in subjects:
            for factor in map(float, arguments.factors.split(",")):
                for row in rows_of(subject, factor, model, options):
                    rows.append(row)
                    writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
                    file.flush()
                    print(*(f"{v:.4g}" if isinstance(v, float) else v for v in row.values()), flush=True)
    arguments.output.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))


def rows_of(subject: Path, factor: float, model: Model, options: EnhanceOptions) -> Iterator[dict[str, object]]:
    """One subject at one factor: a quiet and a noisy scan, each with all plantings."""
    files = subject / "anat" / subject.name
    hr, truth = read_volume(f"{files}_T2w.nii.gz"), read_labels(f"{files}_dseg.nii.gz")
    brain = read_labels(f"{files}_desc-brain_mask.nii.gz")
    spacing = (*hr.GetSpacing()[:2], hr.GetSpacing()[2] * factor)
    peak = float(sitk.GetArrayViewFromImage(hr).max())
    for seed, noise in enumerate(NOISES):
        scan = acquire(hr, spacing, noise=noise * peak, seed=seed)
        result = enhance(scan, model, replace(options, spacing=hr.GetSpacing()))
        cortex = onto(result.labels == 1, hr)
        overlap = dice(sitk.GetArrayFromImage(truth) == CORTEX, sitk.GetArrayFromImage(cortex))
        for name in PLANTED:
            measured = acquire(with_lesion(hr), spacing, noise=noise * peak, seed=seed) if "lesion" in name else scan
            reference = with_lesion(hr) if "lesion" in name else hr
            row = {"subject": subject.name, "factor": factor, "noise": noise, "planted": name, "dice": overlap}
            yield row | _figures(result, plant(name, result.sr), measured, reference, brain, name == "nothing")


def _figures(
    result: Enhancement, sr: sitk.Image, scan: sitk.Image, hr: sitk.Image, brain: sitk.Image, sound: bool
) -> dict[str, object]:
    """The measures of a volume in the place of the result, beside its true error."""
    consistency = acquisition_consistency(scan, sr)
    figures = {"consistency": consistency.figures()}
    spread = result.record["quality"]["uncertainty"]
    inside = sitk.GetArrayFromImage(brain) > 0
    reference, estimate = (sitk.GetArrayFromImage(v) for v in (hr, onto(sr, hr)))
    peak = float(reference.max())
    projected = sitk.GetArrayFromImage(onto(enforce_data_consistency(scan, sr), hr))
    error = np.abs(reference - estimate)
    z = sitk.GetArrayFromImage(sitk.Resample(consistency.z_map, hr, sitk.Transform(), sitk.sitkNearestNeighbor))
    deviation = sitk.GetArrayFromImage(onto(result.maps["sr-deviation"], hr))
    return {
        "psnr": psnr(reference, estimate, inside, peak),
        "psnr_projected": psnr(reference, projected, inside, peak),
        "consistency_db": figures["consistency"]["psnr"],
        "consistency_z": consistency.z_max,
        "slice_z": consistency.slice_z_max,
        "deviation_percent": spread["deviation_percent"],
        "entropy_bits": spread["entropy_bits"],
        "blocks_deviation": blockwise(deviation, error, inside) if sound else None,
        "blocks_consistency": blockwise(np.abs(z), error, inside),
        "warned": int(bool(quality_warnings(figures))),
    }


def with_lesion(image: sitk.Image) -> sitk.Image:
    """A bright round spot of 3 mm standard deviation beside the middle."""
    array = sitk.GetArrayFromImage(image)
    centre = np.array(array.shape) / 2 + np.array([4, 18, 20])
    places = zip(np.indices(array.shape), centre, image.GetSpacing()[::-1], strict=True)
    distance = sum(((index - middle) * step) ** 2 for index, middle, step in places)
    array += (0.35 * array.max() * np.exp(-0.5 * distance / 3.0**2)).astype(np.float32)
    return Grid.of(image).image(array)


def plant(name: str, sr: sitk.Image) -> sitk.Image:
    """A failure in a result. The erased lesion is one that the result never had."""
    grid, array = Grid.of(sr), sitk.GetArrayFromImage(sr)
    middle = len(array) // 2
    if name == "swapped slices":
        first, second = slice(middle, middle + 4), slice(middle + 8, middle + 12)
        array[first], array[second] = array[second].copy(), array[first].copy()
    elif name == "shifted slab":
        array[middle : middle + 6] = np.roll(array[middle : middle + 6], 2, axis=2)
    elif name == "wrong spacing":
        stretched = replace(grid, spacing=(*grid.spacing[:2], grid.spacing[2] * 1.025))
        return upsample(stretched.image(array), grid)
    return grid.image(array)


def blockwise(measure: np.ndarray, error: np.ndarray, inside: np.ndarray) -> float:
    """Rank correlation of a map with the true error over blocks that lie in the brain."""
    means = [_blocks(v * inside) / np.maximum(_blocks(inside.astype(float)), 1e-9) for v in (measure, error)]
    kept = _blocks(inside.astype(float)) > 0.5
    return float(stats.spearmanr(means[0][kept], means[1][kept]).statistic)


def _blocks(array: np.ndarray) -> np.ndarray:
    n = [length // BLOCK for length in array.shape]
    cut = array[tuple(slice(0, k * BLOCK) for k in n)]
    return cut.reshape(n[0], BLOCK, n[1], BLOCK, n[2], BLOCK).mean(axis=(1, 3, 5))


def markdown(rows: list[dict[str, object]]) -> str:
    """The tables."""
    sound = [row for row in rows if row["planted"] == "nothing"]
    lines = [f"{len(sound)} results, {len(rows) - len(sound)} with planted failures.", ""]
    lines += ["| measure | rank correlation with PSNR, all | sound results only | with Dice, sound |", "|---" * 4 + "|"]
    for name in MEASURES:
        cells = [_correlation(chosen, name, truth) for chosen, truth in ((rows, "psnr"), (sound, "psnr"))]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {_correlation(sound, name, 'dice')} |")
    lines += ["", "| planted | warned | consistency_db | consistency_z | slice_z |", "|---" * 5 + "|"]
    for name in PLANTED:
        chosen = [row for row in rows if row["planted"] == name]
        cells = [_range(chosen, measure) for measure in MEASURES[:3]]
        lines.append(f"| {name} | {sum(r['warned'] for r in chosen)} of {len(chosen)} | " + " | ".join(cells) + " |")
    lines += ["", "Inside each brain, over blocks of 4 mm (sound results): rank correlation of the true error with "]
    lines[-1] += (
        f"deviation {_range(sound, 'blocks_deviation')}, with consistency {_range(sound, 'blocks_consistency')}."
    )
    gains = [row["psnr_projected"] - row["psnr"] for row in sound]
    lines += ["", f"Consistency projection changes PSNR by {np.mean(gains):+.2f} dB ({min(gains):+.2f} to "]
    lines[-1] += f"{max(gains):+.2f}): " + ", ".join(
        f"{np.mean([r['psnr_projected'] - r['psnr'] for r in sound if r['noise'] == n]):+.2f} dB at {n:.1%} noise"
        for n in NOISES
    )
    return "\n".join(lines) + ".\n"


def _correlation(rows: list[dict[str, object]], name: str, truth: str) -> str:
    pairs = [(row[name], row[truth]) for row in rows if row[name] is not None]
    return f"{stats.spearmanr(*np.array(pairs, float).T).statistic:+.2f}" if len(pairs) > 2 else "-"


def _range(rows: list[dict[str, object]], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
