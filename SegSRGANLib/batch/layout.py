"""Where the files of a job go: `segsrgan predict`'s names, or those of a BIDS derivative dataset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.classes import CORTEX, TISSUES, bids_label
from ..io.bids import bids_name, entities_of
from ..results.paths import result_paths
from ..utils.atomic_files import atomic_path
from ..utils.notice import RESEARCH_USE_ONLY
from .jobs import Job

_SUFFIXES = {
    "sr": "T2w",
    "labels": "dseg",
    "segmentation": "dseg",
    "probability": "probseg",
    "brain": "mask",
    "mask": "mask",
}
_PROBABILITY = "-probability"  # behind the name of a class


@dataclass(frozen=True)
class Layout:
    """Final paths of a job's files. outdir: of the batch. spacing: of the results, mm; None for each scan's own."""

    outdir: Path
    spacing: tuple[float, float, float] | None

    def record(self, job: Job) -> Path:
        """Where the record is when the result is whole."""
        return self.path(job, "record")

    def path(self, job: Job, role: str) -> Path:
        """Where one file goes; see `paths.result_paths` for the roles, with "report" and the maps."""
        folder = self.outdir / job.folder
        if job.dataset is None:
            if role == "report":
                return folder / f"{job.name}_report.html"
            paths = result_paths(folder, job.name, brain="mask" if role == "mask" else "brain", dicom=True)
            return paths.get(role, folder / f"{job.name}_{role}.nii.gz")
        if role == "mask":
            return folder / f"{self._mask_name(job)}_mask.nii.gz"
        if kind := _kind(role):
            extra = {"label": "brain"} if role == "brain" else {}
            extra = {"label": bids_label(_class_of(role))} if kind == "probability" else extra
            return folder / f"{self._prefix(job, extra)}_{_SUFFIXES[kind]}.nii.gz"
        ending = {"qc": "qc.png", "record": "record.json", "report": "report.html"}.get(role, f"{role}.nii.gz")
        return folder / f"{self._prefix(job, {})}_{ending}"

    def _mask_name(self, job: Job) -> str:
        """The entities of a brain mask on the grid of its scan, as other tools name and look for it."""
        entities = entities_of(job.name)
        return bids_name(entities | {"desc": f"{entities['desc']}Brain" if "desc" in entities else "brain"})

    def _prefix(self, job: Job, extra: dict[str, str]) -> str:
        """All entities of the source, and ours, in the order of BIDS."""
        entities = dict(part.split("-", 1) for part in job.name.split("_"))
        size = "inplane" if self.spacing is None else f"{_lengths(self.spacing)}mm".replace(".", "p").replace(" ", "")
        ours = {"space": "orig", "res": size, "desc": "segsrgan"}
        # derived datasets (dHCP) have images that differ in nothing but what ours would replace
        if replaced := "".join(entities[name] for name in ours if name in entities):
            ours["desc"] = f"{replaced}Segsrgan"
        return bids_name(entities | ours | extra)


def sidecars(job: Job, layout: Layout, roles: Iterable[str], record: dict[str, Any]) -> dict[Path, str]:
    """The texts beside the images of a BIDS derivative, by their final paths; none for other jobs.

    Args:
        job: which. layout: of the batch. roles: of the images. record: of the result.
    """
    if job.dataset is None:
        return {}
    sources = [path.relative_to(job.dataset).as_posix() for path in job.sources]
    common = {
        "Sources": [f"bids:raw:{source}" for source in sources],
        "SpatialReference": "orig",
        "Resolution": f"{_resolution(record['output']['spacing'])}, in the field of view of the source",
        "SkullStripped": False,
        "SoftwareVersion": __version__,
        "Model": record["model"]["name"],
        "ModelSHA256": record["model"]["sha256"],
    }
    texts = {}
    for role in roles:
        if kind := _kind(role):
            path = layout.path(job, role)
            values = {"Description": _description(role, kind), **common, **_OWN.get(role, {})}
            texts[path.with_name(path.name.replace(".nii.gz", ".json"))] = json.dumps(values, indent=2) + "\n"
        if role in ("labels", "segmentation"):
            table = _label_table(record.get("classes", [CORTEX]))
            texts[path.with_name(path.name.replace(".nii.gz", ".tsv"))] = table
    return texts


def _lengths(spacing: Sequence[float]) -> str:
    """One number where all are equal, such as 0.5, else 0.5 x 0.5 x 1."""
    numbers = [f"{length:g}" for length in spacing]
    return numbers[0] if len(set(numbers)) == 1 else " x ".join(numbers)


def _resolution(spacing: Sequence[float]) -> str:
    text = _lengths(spacing)
    return f"{text} mm" if " " in text else f"{text} mm isotropic"


def _kind(role: str) -> str | None:
    """What a role's file is, a key of `_SUFFIXES`; None for what BIDS has no suffix for."""
    return "probability" if role.endswith(_PROBABILITY) else role if role in _SUFFIXES else None


def _class_of(role: str) -> str:
    """The class that a probability is of, as in file names."""
    return role.removesuffix(_PROBABILITY) if role != "probability" else CORTEX


def _label_table(classes: list[str]) -> str:
    """The table beside a segmentation: index, name and abbreviation of each label."""
    titles = [TISSUES[name].title if name in TISSUES else name for name in classes]
    rows = [
        f"{index}\t{title}\t{bids_label(name)}"
        for index, (name, title) in enumerate(zip(classes, titles, strict=True), start=1)
    ]
    return "\n".join(["index\tname\tabbreviation", *rows]) + "\n"


def _description(role: str, kind: str) -> str:
    if role.endswith(_PROBABILITY):
        return f"Probability of {'cortical grey matter' if _class_of(role) == CORTEX else _class_of(role)}."
    return _DESCRIPTIONS[role]


_DESCRIPTIONS = {
    "sr": "Super-resolved T2-weighted volume; intensities in the units of the source.",
    "labels": "Segmentation of the cortical grey matter.",
    "segmentation": "Segmentation of the classes in the table beside it.",
    "probability": "Probability of cortical grey matter.",
    "brain": "Brain mask predicted by the network.",
    "mask": "Brain mask found in the source; the network saw nothing outside it.",
}
_OWN: dict[str, dict[str, Any]] = {role: {"Manual": False} for role in ("labels", "segmentation")}
_OWN |= {"brain": {"Type": "Brain"}, "mask": {"Type": "Brain", "Resolution": "that of the source"}}


def describe_dataset(outdir: Path, dataset: Path) -> None:
    """Write what makes a folder a BIDS derivative dataset: description, README and .bidsignore. Existing ones stay.

    Args:
        outdir: of the batch. dataset: the source.
    """
    link = dataset.resolve().as_uri()
    description = {
        "Name": f"SegSRGAN: super-resolution and cortex of {dataset.name}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "SegSRGAN", "Version": __version__, "Description": RESEARCH_USE_ONLY}],
        "SourceDatasets": [{"URL": link}],
        "DatasetLinks": {"raw": link},
    }
    ignored = ["*_qc.png", "*_record.json", "*_report.html", "*_consistency.nii.gz", "*_sr-deviation.nii.gz"]
    ignored += ["*_cortex-entropy.nii.gz", "summary*", "volumes*", "slurm/", ".segsrgan/"]
    texts = {
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
        "README.md": _README,
        ".bidsignore": "\n".join(ignored) + "\n",
    }
    for name, text in texts.items():
        if not (outdir / name).exists():
            with atomic_path(outdir / name) as temporary:
                temporary.write_text(text, encoding="utf-8")


_README = f"""# Super-resolution and cortex by SegSRGAN

{RESEARCH_USE_ONLY}

For every T2-weighted image of the source dataset:

- `*_desc-segsrgan_T2w.nii.gz`: the super-resolved volume, isotropic, in the scanner space and field of view of the scan
- `*_desc-segsrgan_dseg.nii.gz`: the segmentation, in most models the cortical grey matter; the `.tsv` file beside it
  says what its labels are
- `*_label-CGM_desc-segsrgan_probseg.nii.gz`: the probability of cortical grey matter, and so on for each label
- `*_desc-brain_mask.nii.gz`: the brain mask that was found, on the grid of the scan
- `*_qc.png`: three planes to look at
- `*_record.json`: what was done, with what, and the measures of quality

`summary.tsv` lists all volumes with their outcome and figures; `volumes.tsv` has the measures of the cortex for
statistics, and `volumes.json` says what its columns mean.
"""
