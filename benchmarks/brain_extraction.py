"""How well the brain is found: real stacks, and heads made around brains that the training did not see.

    python benchmarks/brain_extraction.py ../shared/data runs/brain --each 25

Writes brain_extraction.tsv (Dice, volume, seconds and checks of every scan), prints a table by kind, and draws the
worst of each as pictures: the true mask in green, the found one in red.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import numpy as np
import SimpleITK as sitk
import torch
from brain_heads import Head, heads

from SegSRGANLib.inference.brain.extraction import BrainExtraction, extract_brain
from SegSRGANLib.models.brain_extractor import load_brain_extractor, read_brain_extractor

_WORST = 4  # of each kind are drawn
_STRIPPED = ("gousias2012/sub-ALBERT01", "gousias2012/sub-ALBERT08", "gousias2012/sub-ALBERT16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with mialsrtk, gousias2012, fidon2021 and xu2022")
    parser.add_argument("out", type=Path, help="folder of the table and the pictures")
    parser.add_argument("--each", type=int, default=25, help="synthetic newborns and fetuses")
    parser.add_argument("--weights", type=Path, help="another network than the bundled one")
    arguments = parser.parse_args()
    device = torch.device("cpu")
    network = (
        load_brain_extractor(device) if arguments.weights is None else read_brain_extractor(arguments.weights, device)
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows, drawn = [], []
    for head in _all(arguments.data, arguments.each):
        row, extraction = _measure(head, network)
        volumes = f"{row['volume_ml']:6.0f} of {row['true_ml']:4.0f} mL"
        print(f"{row['name']:45s} {row['dice']:.3f} {volumes} {row['seconds']} s")
        rows.append(row)
        drawn.append((row["dice"], head, extraction))
    _write(rows, arguments.out / "brain_extraction.tsv")
    for kind in dict.fromkeys(row["kind"] for row in rows):
        _summarize(kind, [row for row in rows if row["kind"] == kind])
        worst = sorted((item for item in drawn if item[1].kind == kind), key=lambda item: item[0])[:_WORST]
        _draw(worst, arguments.out / f"brain_extraction_{kind.replace(' ', '-')}.png")


def _all(data: Path, each: int) -> Iterator[Head]:
    for path in sorted(data.glob("mialsrtk/sub-01/anat/*_T2w.nii.gz")):
        yield _file(path, "real stack")
    for folder in (*_STRIPPED, *sorted(f"xu2022/{p.name}" for p in data.glob("xu2022/sub-*"))):
        yield _file(
            next((data / folder).glob("anat/*_T2w.nii.gz")), "stripped newborn" if "gousias" in folder else "atlas"
        )
    yield from heads(data, each)


def _file(path: Path, kind: str) -> Head:
    mask = path.with_name(path.name.replace("_T2w", "_desc-brain_mask"))
    return Head(path.name.split("_T2w")[0], kind, sitk.ReadImage(str(path)), sitk.ReadImage(str(mask)) > 0)


def _measure(head: Head, network: torch.nn.Module) -> tuple[dict[str, object], BrainExtraction | None]:
    start = time.perf_counter()
    try:
        extraction = extract_brain(head.scan, "cpu", network=network)
    except ValueError:
        extraction = None
    seconds = round(time.perf_counter() - start, 2)
    true = sitk.GetArrayViewFromImage(head.brain) > 0
    found = np.zeros_like(true) if extraction is None else sitk.GetArrayViewFromImage(extraction.mask) > 0
    dice = 2 * np.count_nonzero(true & found) / (np.count_nonzero(true) + np.count_nonzero(found))
    row = {"name": head.name, "kind": head.kind, "dice": round(dice, 4), "seconds": seconds}
    row["true_ml"] = round(float(np.count_nonzero(true) * np.prod(head.scan.GetSpacing()) / 1000), 1)
    checks = {"volume_ml": 0.0} if extraction is None else asdict(extraction.checks)
    return row | checks | {"warnings": 0 if extraction is None else len(extraction.checks.warnings())}, extraction


def _write(rows: list[dict[str, object]], path: Path) -> None:
    names = list(max(rows, key=len))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _summarize(kind: str, rows: list[dict[str, object]]) -> None:
    dice = np.array([row["dice"] for row in rows])
    seconds = np.array([row["seconds"] for row in rows])
    print(
        f"{kind}: {len(rows)} scans, Dice mean {dice.mean():.3f}, median {np.median(dice):.3f}, "
        f"worst {dice.min():.3f}, {(dice < 0.9).sum()} below 0.9; {seconds.mean():.1f} s, at most {seconds.max():.1f} s"
    )


def _draw(items: list[tuple[float, Head, BrainExtraction | None]], path: Path) -> None:
    figure, axes = matplotlib.pyplot.subplots(len(items), 3, figsize=(10, 3.4 * len(items)), squeeze=False)
    for row, (dice, head, extraction) in zip(axes, items, strict=True):
        scan, true = sitk.GetArrayFromImage(head.scan), sitk.GetArrayFromImage(head.brain)
        found = np.zeros_like(true) if extraction is None else sitk.GetArrayFromImage(extraction.mask)
        high, spacing = np.percentile(scan[scan > 0], 99), head.scan.GetSpacing()[::-1]
        for axis, ax in enumerate(row):
            index = int(np.mean(np.nonzero(true)[axis]))
            first, second = (k for k in range(3) if k != axis)
            ax.imshow(scan.take(index, axis), cmap="gray", vmin=0, vmax=high, aspect=spacing[first] / spacing[second])
            for mask, colour in ((true, "lime"), (found, "red")):
                if mask.take(index, axis).any():
                    ax.contour(mask.take(index, axis), [0.5], colors=colour, linewidths=0.8)
            ax.axis("off")
        row[0].set_title(f"{head.name}: {dice:.3f}", loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=70)


if __name__ == "__main__":
    main()
