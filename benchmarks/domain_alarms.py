"""How often does the comparison with the training warn, on scans that are as they should be and on ones that are not?

    python benchmarks/domain_alarms.py [--model segsrgan-paper] [-o docs/tables/domain.csv]

Scans: fidon2021 at slices of 2.4 and 4.8 mm, with the brain mask and without (these volumes have no skull), and the two
stacks of mialsrtk with their masks, at 0.8 mm. Then what should be noticed is made of the same scans: inverted
intensities inside the brain (as in T1-weighted images), slices of 9.6 mm, one side or the lower half of the brain gone,
voxel sizes that make an adult of it (and the slices coarse, which is noticed, too), a field of view that ends in the
brain. Prints how many scans get which warning.
No network runs; the model only gives its card. Data: the folder in the environment variable SEGSRGAN_DATA.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.io.volume import read_labels, read_volume
from SegSRGANLib.models.checkpoint import load_model
from SegSRGANLib.quality.domain import Item
from SegSRGANLib.quality.preflight import compare
from SegSRGANLib.transforms.acquisition import acquire

SPACING = 0.8  # mm, of the result
HEALTHY = ("factor 3", "factor 6", "factor 3, no mask", "factor 6, no mask", "mialsrtk")
ADULT = 1200.0  # mL
Scan = tuple[str, str, sitk.Image, sitk.Image | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="segsrgan-paper")
    parser.add_argument("-o", "--output", type=Path, help="table of all values")
    arguments = parser.parse_args()
    card = load_model(arguments.model, "cpu").card
    if card.domain is None:
        parser.error(f"the card of {arguments.model} names no training domain; run benchmarks/release_model.py")
    rows = []
    for kind, name, scan, mask in scans(Path(os.environ.get("SEGSRGAN_DATA", "../shared/data"))):
        items = compare(scan, mask, output_grid(Grid.of(scan), SPACING), card)
        rows += [row(kind, name, key, item) for key, item in items.items()]
        print(
            kind, name, ", ".join(f"{key} {item.outside:+.3g}" for key, item in items.items() if item.warns), flush=True
        )
    if arguments.output:
        with arguments.output.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print(summary(rows))


def row(kind: str, name: str, key: str, item: Item) -> dict[str, object]:
    return {"kind": kind, "scan": name, "measure": key, **item.figures(), "warned": int(item.warns)}


def scans(root: Path) -> Iterator[Scan]:
    """Kind, subject, scan and mask."""
    for folder in sorted((root / "fidon2021").glob("sub-*")):
        files = folder / "anat" / folder.name
        truth, mask = read_volume(f"{files}_T2w.nii.gz"), read_labels(f"{files}_desc-brain_mask.nii.gz")
        for factor in (3, 6):
            scan, brain = thick(truth, mask, factor)
            yield f"factor {factor}", folder.name, scan, brain
            yield f"factor {factor}, no mask", folder.name, scan, None
        yield "slices of 9.6 mm", folder.name, *thick(truth, mask, 12)
        yield from ((kind, folder.name, *made) for kind, made in altered(*thick(truth, mask, 3)))
    for file in sorted((root / "mialsrtk").rglob("*_T2w.nii.gz")):
        mask = read_labels(str(file).replace("_T2w", "_desc-brain_mask"))
        yield "mialsrtk", file.name.removesuffix("_T2w.nii.gz"), read_volume(file), mask


def thick(truth: sitk.Image, mask: sitk.Image, factor: int) -> tuple[sitk.Image, sitk.Image]:
    """The simulated scan, and the mask on its grid."""
    scan = acquire(truth, (*truth.GetSpacing()[:2], truth.GetSpacing()[2] * factor))
    return scan, sitk.Resample(mask, scan, sitk.Transform(), sitk.sitkNearestNeighbor)


def altered(scan: sitk.Image, mask: sitk.Image) -> Iterator[tuple[str, tuple[sitk.Image, sitk.Image]]]:
    """Scans that a model should not be believed on."""
    grid, values, brain = Grid.of(scan), sitk.GetArrayFromImage(scan), sitk.GetArrayFromImage(mask)
    dark = np.where(brain > 0, np.percentile(values[brain > 0], 99.9) - values, 0).clip(0).astype(np.float32)
    yield "inverted contrast", (grid.image(dark), mask)
    for kind, axis in (("half a brain, one side", 2), ("half a brain, lower part gone", 0)):
        places = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))
        gone = [slice(None)] * 3
        gone[axis] = slice(0, int(places.mean()))
        half = brain.copy()
        half[tuple(gone)] = 0
        yield kind, (grid.image(values * (half > 0)), grid.image(half))
    larger = np.cbrt(ADULT / (np.count_nonzero(brain) * np.prod(grid.spacing) / 1000))
    large = replace(grid, spacing=tuple(float(s * larger) for s in grid.spacing))
    yield "adult size", (large.image(values), large.image(brain))
    places = np.flatnonzero(brain.any(axis=(0, 2)))
    begin = int(places[0] + 0.4 * (places[-1] - places[0]))
    yield "field of view ends in the brain", (scan[:, begin:, :], mask[:, begin:, :])


def summary(rows: list[dict[str, object]]) -> str:
    lines = ["| scans | number | without any warning | warnings |", "|---" * 4 + "|"]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        chosen = [row for row in rows if row["kind"] == kind]
        names = {row["scan"] for row in chosen}
        quiet = names - {row["scan"] for row in chosen if row["warned"]}
        counts = Counter(str(row["measure"]) for row in chosen if row["warned"])
        text = ", ".join(f"{key} {count}" for key, count in counts.most_common()) or "-"
        lines.append(f"| {kind} | {len(names)} | {len(quiet)} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
