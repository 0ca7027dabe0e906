"""The names of a result's files. Needs no PyTorch: Slicer's panel lists results before that is installed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..data.classes import CORTEX, file_part
from ..io.file_names import volume_stem


def result_name(source: str | Path) -> str:
    """The name of a result: the input's file or folder name without its extension."""
    # links keep their own name: some datasets store by checksum
    return volume_stem(os.path.basename(os.path.abspath(source)))


def result_paths(
    outdir: str | Path,
    name: str,
    classes: Sequence[str] = (CORTEX,),
    brain: str | None = None,
    maps: Iterable[str] = (),
    dicom: bool = False,
) -> dict[str, Path]:
    """Where the files of a result go, by their role.

    Of a model that segments the cortex alone these are "probability" and "labels"; of any other, "NAME-probability"
    for each class and "segmentation".

    Args:
        outdir: folder.
        name: see `result_name`.
        classes: names of what the model segments, see `checkpoint.Model.classes`.
        brain: role of the brain mask: "mask" for one that the program found, "brain" for one that the model predicts;
            None where there is none.
        maps: names of the quality maps to write as well.
        dicom: whether there is a folder of DICOM files as well.
    """
    endings = {
        "sr": "sr.nii.gz",
        **segmentation_endings(classes),
        **({} if brain is None else {brain: "brain-mask.nii.gz"}),
        **{role: f"{role}.nii.gz" for role in maps},
        "dicom": "dicom",
        "qc": "qc.png",
        "record": "record.json",
    }
    return {role: Path(outdir) / f"{name}_{ending}" for role, ending in endings.items() if role != "dicom" or dicom}


def segmentation_endings(classes: Sequence[str]) -> dict[str, str]:
    """The endings of the probabilities and of the label map, by their role, in the order of the classes."""
    if tuple(classes) == (CORTEX,):
        return {"probability": "cortex-probability.nii.gz", "labels": "cortex.nii.gz"}
    roles = [f"{file_part(name)}-probability" for name in classes] + (["segmentation"] if classes else [])
    return {role: f"{role}.nii.gz" for role in roles}


def report_path(outdir: str | Path, name: str) -> Path:
    """Where the page of a result goes."""
    return Path(outdir) / f"{name}_report.html"
