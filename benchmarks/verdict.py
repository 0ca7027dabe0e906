"""How often is the verdict right? Sound scans of left-out sources, and failures planted into them.

    python benchmarks/verdict.py run -o runs.jsonl [--model segsrgan] [--every 1]     (enhances every scan; slow)
    python benchmarks/verdict.py fit runs.jsonl -o reliability.json                   (fits the predicted Dice)
    python benchmarks/verdict.py table runs.jsonl reliability.json -o docs/tables/verdict.md

`run` simulates thick slices of volumes with known truth, enhances them as a user would (mask: auto; with given masks
where no brain extractor is installed) and writes one JSON line a result: source, what was planted, its true Dice, its
record. `fit` predicts the Dice of each source from the others and prints the rank correlation; its numbers go into the
model's card (`benchmarks/release_model.py --reliability`). `table` gives each record its verdict anew. Data: the folder
in the environment variable SEGSRGAN_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import stats

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.volume import read_labels, read_volume
from SegSRGANLib.metrics.segmentation import dice
from SegSRGANLib.models.brain_extractor import has_brain_extractor
from SegSRGANLib.models.card import Reliability
from SegSRGANLib.models.checkpoint import Model, load_model
from SegSRGANLib.quality.consistency import acquisition_consistency
from SegSRGANLib.quality.predicted_dice import FIGURES, figures_of, log_odds
from SegSRGANLib.quality.verdict import REFUSE, USABLE, give_verdict
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import onto

CORTEX = 5
SOURCES = {  # subjects that the default model was not trained on
    "gousias2012": ("sub-ALBERT01", "sub-ALBERT08", "sub-ALBERT16"),
    "fidon2021": tuple(f"sub-SBA{week}" for week in ("23", "25op", "27op", "28op", "30op", "32op", "34op")),
    "xu2022": tuple(f"sub-CHN{week}" for week in (25, 27, 29, 31, 33, 35, 37)),
}
PLANTED_ON = ("sub-ALBERT01", "sub-ALBERT16", "sub-SBA28op", "sub-CHN33")
FACTORS, NOISE, SOUND = (2.0, 3.0, 5.0), 0.01, "nothing"
_RIDGE = 0.3


@dataclass(frozen=True)
class Subject:
    """A volume with its truth; intensities of its scan are 0 outside of its brain mask where `stripped`."""

    source: str
    name: str
    hr: sitk.Image
    labels: sitk.Image
    brain: sitk.Image

    @property
    def axis(self) -> int:
        """Along which slices are made thick: scans of newborns are blurred along their third axis already."""
        return 1 if self.source == "gousias2012" else 2

    def scan(self, factor: float, noise: float = NOISE, hr: sitk.Image | None = None) -> sitk.Image:
        """Thick slices of it."""
        hr = self.hr if hr is None else hr
        spacing = list(hr.GetSpacing())
        spacing[self.axis] *= factor
        return acquire(hr, spacing, noise=noise * float(np.percentile(_array(hr), 99.5)), seed=1)


def subjects(names: tuple[str, ...] | None = None) -> Iterator[Subject]:
    """The volumes that are there."""
    root = Path(os.environ.get("SEGSRGAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    for source, members in SOURCES.items():
        for name in members:
            stem = root / source / name / "anat" / name
            if (names is None or name in names) and Path(f"{stem}_T2w.nii.gz").is_file():
                read = read_volume(f"{stem}_T2w.nii.gz"), read_labels(f"{stem}_dseg.nii.gz")
                yield Subject(source, name, *read, read_labels(f"{stem}_desc-brain_mask.nii.gz"))


# --- planted failures: (subject) -> (scan, mask) ---------------------------------------------------------------------


def _slices(change: Callable[[np.ndarray, int], None]) -> Callable[[Subject], tuple[sitk.Image, Any]]:
    """A failure between the slices of the scan; `change` gets the slices first, and the middle one's number."""

    def make(subject: Subject) -> tuple[sitk.Image, Any]:
        scan = subject.scan(3.0)
        stack = np.moveaxis(_array(scan), 2 - subject.axis, 0).copy()
        change(stack, len(stack) // 2)
        return Grid.of(scan).image(np.ascontiguousarray(np.moveaxis(stack, 0, 2 - subject.axis))), "auto"

    return make


def _swap(stack: np.ndarray, k: int) -> None:
    stack[[k, k + 4]] = stack[[k + 4, k]]


def _shift(stack: np.ndarray, k: int) -> None:
    stack[k : k + 3] = np.roll(stack[k : k + 3], 5, axis=1)


def _move(stack: np.ndarray, k: int) -> None:
    rng = np.random.default_rng(k)
    for slice_ in np.flatnonzero(rng.random(len(stack)) < 0.35):
        stack[slice_] = np.roll(stack[slice_], rng.integers(-5, 6, 2), axis=(0, 1))


def _contrast(levels: dict[int, float]) -> Callable[[Subject], tuple[sitk.Image, Any]]:
    """Tissues with other intensities, and half of the volume's own texture."""

    def make(subject: Subject) -> tuple[sitk.Image, Any]:
        labels, values = _array(subject.labels), _array(subject.hr).astype(np.float32)
        peak = float(np.percentile(values, 99.5))
        result = values.copy()
        for label in np.unique(labels[labels > 0]):
            here = labels == label
            result[here] = levels.get(int(label), 0.3) * peak + 0.5 * (values[here] - np.median(values[here]))
        return subject.scan(3.0, hr=Grid.of(subject.hr).image(np.maximum(result, 0))), "auto"

    return make


def _inverted(subject: Subject) -> tuple[sitk.Image, Any]:
    values, inside = _array(subject.hr).astype(np.float32), _array(subject.brain) > 0
    peak = float(np.percentile(values[inside], 99.5))
    return subject.scan(
        3.0, hr=Grid.of(subject.hr).image(np.where(inside, np.maximum(1.05 * peak - values, 0), values))
    ), "auto"


def _adult(subject: Subject) -> tuple[sitk.Image, Any]:
    scan = subject.scan(3.0)
    grid = Grid.of(scan)
    return replace(grid, spacing=tuple(1.6 * s for s in grid.spacing)).image(_array(scan)), "auto"


def _wrong_mask(subject: Subject) -> tuple[sitk.Image, Any]:
    mask = np.roll(_array(subject.brain), (18, -14), axis=(1, 2))
    return subject.scan(3.0), Grid.of(subject.brain).image(mask)


def _wide_mask(subject: Subject) -> tuple[sitk.Image, Any]:
    head = _array(subject.hr).astype(np.float32)
    inside = sitk.BinaryDilate(subject.brain != 0, [11] * 3)
    ring = sitk.GetArrayFromImage(inside) > sitk.GetArrayFromImage(sitk.BinaryDilate(subject.brain != 0, [5] * 3))
    head[ring] = 0.6 * float(np.percentile(head, 99.5))  # a bright scalp
    return subject.scan(3.0, hr=Grid.of(subject.hr).image(head)), inside


def _cut(subject: Subject) -> tuple[sitk.Image, Any]:
    scan = subject.scan(3.0)
    size = list(scan.GetSize())
    size[2] //= 2
    return sitk.RegionOfInterest(scan, size, [0, 0, 0]), "auto"


def _no_brain(subject: Subject) -> tuple[sitk.Image, Any]:
    rng = np.random.default_rng(3)
    blobs = sitk.GetImageFromArray(rng.normal(0, 1, _array(subject.hr).shape).astype(np.float32))
    values = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(blobs, 6.0))
    return subject.scan(3.0, hr=Grid.of(subject.hr).image(1000 + 4000 * (values - values.min()))), "auto"


PLANTED: dict[str, Callable[[Subject], tuple[sitk.Image, Any]]] = {
    "wrong mask": _wrong_mask,
    "skull inside the mask": _wide_mask,
    "no brain": _no_brain,
    "adult": _adult,
    "T1": _contrast({1: 0.6, 2: 0.1, 3: 0.7, 4: 0.1, 5: 0.75, 6: 0.8, 7: 0.8, 8: 0.6, 9: 0.4, 10: 0.75}),
    "inverted contrast": _inverted,
    "cut brain": _cut,
    "swapped slices": _slices(_swap),
    "shifted slab": _slices(_shift),
    "motion": _slices(_move),
    "noise": lambda subject: (subject.scan(3.0, noise=0.15), "auto"),
}


# --- run -------------------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> None:
    """Enhance everything; lines are written as they come."""
    model = load_model(arguments.model, "auto")
    with arguments.output.open("w", encoding="utf-8") as file:
        for row in _rows(model, arguments.every):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row["source"], row["subject"], row["planted"], row["factor"], row["dice"], row["refused"], flush=True)


def _rows(model: Model, every: int) -> Iterator[dict[str, Any]]:
    for number, subject in enumerate(subjects()):
        for index, factor in enumerate(FACTORS):
            if (number + index) % every == 0:
                yield _row(subject, SOUND, factor, subject.scan(factor), "auto", model)
    for subject in subjects(PLANTED_ON):
        for name, make in PLANTED.items():
            yield _row(subject, name, 3.0, *make(subject), model)
        yield _erased_lesion(subject, model)


def _row(subject: Subject, planted: str, factor: float, scan: sitk.Image, mask: Any, model: Model) -> dict[str, Any]:
    mask = _usable(mask, scan, subject, planted)
    row: dict[str, Any] = {"source": subject.source, "subject": subject.name, "planted": planted, "factor": factor}
    row |= {"dice": None, "bias_percent": None, "refused": None, "record": {}}
    try:
        result = enhance(scan, model, _options(subject), mask=mask)
    except ValueError as error:
        return row | {"refused": str(error)}
    return row | _accuracy(subject, result.labels) | {"record": result.record}


def _usable(mask: Any, scan: sitk.Image, subject: Subject, planted: str) -> Any:
    """The mask as it is; without a brain extractor the subject's own in the place of "auto"."""
    if not isinstance(mask, str) or has_brain_extractor():
        return mask
    return "none" if planted == "no brain" else _mask_on(scan, subject)


def _mask_on(scan: sitk.Image, subject: Subject) -> sitk.Image:
    """The subject's brain mask for a scan, whatever was done to its grid."""
    grid, own = Grid.of(scan), Grid.of(subject.brain)
    stretch = [s * n / (o * m) for s, n, o, m in zip(grid.spacing, grid.size, own.spacing, own.size, strict=True)]
    if min(stretch) > 1.2:  # another size of the same head
        factor = min(stretch)
        own = replace(own, spacing=tuple(factor * s for s in own.spacing))
    return own.image(sitk.GetArrayFromImage(subject.brain))


def _options(subject: Subject) -> EnhanceOptions:
    return EnhanceOptions(spacing=min(subject.hr.GetSpacing()), prediction=PredictionOptions(128, 0.25))


def _accuracy(subject: Subject, labels: sitk.Image) -> dict[str, Any]:
    truth, own = _array(subject.labels) == CORTEX, _array(onto(labels, subject.hr)) == 1
    bias = 100 * (float(own.sum()) / float(truth.sum()) - 1)
    return {"dice": round(dice(truth, own), 4), "bias_percent": round(bias, 2)}


def _erased_lesion(subject: Subject, model: Model) -> dict[str, Any]:
    """A bright spot that the scan shows and the result does not."""
    row = _row(subject, "erased lesion", 3.0, subject.scan(3.0), "auto", model)
    if row["refused"] is None:
        centre = np.array(np.nonzero(_array(subject.labels) == 1)).T
        place = centre[len(centre) // 3]
        distance = sum(
            (index - middle) ** 2 for index, middle in zip(np.indices(_array(subject.hr).shape), place, strict=True)
        )
        values = _array(subject.hr) + 0.5 * np.percentile(_array(subject.hr), 99.5) * np.exp(-0.5 * distance / 3.0**2)
        scan = subject.scan(3.0, hr=Grid.of(subject.hr).image(values.astype(np.float32)))
        plain = subject.scan(3.0)
        result = enhance(plain, model, _options(subject), mask=_usable("auto", plain, subject, "erased lesion"))
        row["record"]["quality"]["consistency"] = acquisition_consistency(scan, result.sr, result.mask).figures()
    return row


# --- fit and table ---------------------------------------------------------------------------------------------------


def fit(arguments: argparse.Namespace) -> None:
    """Leave one source out at a time; then all."""
    rows = [row for row in _read(arguments.runs) if row["planted"] == SOUND and figures_of(row["record"])]
    truth = np.array([log_odds(row["dice"]) for row in rows])
    sources = np.array([row["source"] for row in rows])
    held_out = np.zeros(len(rows))
    for source in sorted(set(sources)):
        weights, intercept = _ridge([r for r in rows if r["source"] != source])
        held_out[sources == source] = [_linear(r, weights, intercept) for r in rows if r["source"] == source]
        chosen = sources == source
        ranks = stats.spearmanr(held_out[chosen], truth[chosen]).statistic
        print(f"{source}: rank correlation {ranks:.2f} of {chosen.sum()} results")
    ranks = stats.spearmanr(held_out, truth).statistic
    print(f"all, each source predicted from the others: rank correlation {ranks:.2f}")
    weights, intercept = _ridge(rows)
    errors = np.abs(held_out - truth)
    width = max(float(np.quantile(errors[sources == source], 0.9)) for source in set(sources))  # the worst of them
    names = ", ".join(f"{source} ({int((sources == source).sum())})" for source in sorted(set(sources)))
    result = Reliability(weights, intercept, round(width, 4), _bias_rows(rows, weights, intercept), names)
    arguments.output.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    print(json.dumps(asdict(result)))


def _bias_rows(
    rows: list[dict[str, Any]], weights: dict[str, float], intercept: float
) -> tuple[tuple[float, float, float], ...]:
    """The bias of the volume in each third of the results, by the Dice that is predicted of them."""
    odds = np.array([_linear(row, weights, intercept) for row in rows])
    bias = np.array([row["bias_percent"] for row in rows])
    found = []
    for third in np.array_split(np.argsort(-odds), 3):
        low, high = np.percentile(bias[third], (5, 95))
        start = 1 / (1 + np.exp(-odds[third].min()))
        found.append((round(float(start), 3), round(float(low), 1), round(float(high), 1)))
    return (*found[:-1], (0.0, *found[-1][1:]))


def _ridge(rows: list[dict[str, Any]]) -> tuple[dict[str, float], float]:
    """Ridge regression of the log-odds of the true Dice on the standardized figures."""
    table = np.array([[figures_of(row["record"])[name] for name in FIGURES] for row in rows])  # type: ignore[index]
    truth = np.array([log_odds(row["dice"]) for row in rows])
    middle, deviation = table.mean(0), np.maximum(table.std(0), 1e-6)
    standard = (table - middle) / deviation
    gram = standard.T @ standard + _RIDGE * len(rows) * np.eye(len(FIGURES)) / len(FIGURES)
    slopes = np.linalg.solve(gram, standard.T @ (truth - truth.mean())) / deviation
    weights = {name: round(float(slope), 5) for name, slope in zip(FIGURES, slopes, strict=True)}
    return weights, round(float(truth.mean() - slopes @ middle), 5)


def _linear(row: dict[str, Any], weights: dict[str, float], intercept: float) -> float:
    figures = figures_of(row["record"])
    return intercept + sum(weights[name] * figures[name] for name in FIGURES)  # type: ignore[index]


def table(arguments: argparse.Namespace) -> None:
    """The verdict on each kind of result."""
    fitted = Reliability.from_values(json.loads(arguments.reliability.read_text(encoding="utf-8")))
    lines = ["| planted | results | usable | look closely | do not use or refused | true Dice |", "|---" * 6 + "|"]
    rows = _read(arguments.runs)
    words = [REFUSE if row["refused"] else give_verdict(row["record"], fitted)["word"] for row in rows]
    for planted in (SOUND, *PLANTED, "erased lesion"):
        kinds = [(row, word) for row, word in zip(rows, words, strict=True) if row["planted"] == planted]
        if planted == SOUND:
            for source in SOURCES:
                lines.append(_line(f"nothing, {source}", [k for k in kinds if k[0]["source"] == source]))
        else:
            lines.append(_line(planted, kinds))
    failures = [word for row, word in zip(rows, words, strict=True) if row["planted"] != SOUND]
    good = [word for row, word in zip(rows, words, strict=True) if row["planted"] == SOUND and row["dice"] >= 0.7]
    lines += ["", f"{_share(failures, USABLE, False)} of the failures are not called usable; "]
    lines[-1] += (
        f"{_share(good, REFUSE, True)} of the sound results with a Dice of 0.7 and more are called do not use, "
    )
    lines[-1] += f"{_share(good, USABLE, True)} usable."
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _line(name: str, kinds: list[tuple[dict[str, Any], str]]) -> str:
    counts = [sum(word == wanted for _, word in kinds) for wanted in (USABLE, "look closely", REFUSE)]
    overlaps = [row["dice"] for row, _ in kinds if row["dice"] is not None]
    dices = f"{np.mean(overlaps):.3f} ({min(overlaps):.3f} to {max(overlaps):.3f})" if overlaps else "-"
    return f"| {name} | {len(kinds)} | " + " | ".join(map(str, counts)) + f" | {dices} |"


def _share(words: list[str], wanted: str, equal: bool) -> str:
    hits = sum((word == wanted) == equal for word in words)
    return f"{hits} of {len(words)} ({100 * hits / max(1, len(words)):.0f} %)"


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def main() -> None:
    """Choose the step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    runs = steps.add_parser("run")
    runs.add_argument("-o", "--output", type=Path, required=True)
    runs.add_argument("--model", default="segsrgan")
    runs.add_argument("--every", type=int, default=1, help="take every K-th of the sound scans only")
    runs.set_defaults(do=run)
    fits = steps.add_parser("fit")
    fits.add_argument("runs", type=Path)
    fits.add_argument("-o", "--output", type=Path, required=True)
    fits.set_defaults(do=fit)
    tables = steps.add_parser("table")
    tables.add_argument("runs", type=Path)
    tables.add_argument("reliability", type=Path)
    tables.add_argument("-o", "--output", type=Path, required=True)
    tables.set_defaults(do=table)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
