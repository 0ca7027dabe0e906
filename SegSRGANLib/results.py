"""The files of one result, written all or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import SimpleITK as sitk

from .atomic import atomic_folder, atomic_path
from .dicom_results import write_dicom
from .dicom_source import DicomSource
from .inference import Enhancement
from .report import draw_enhancement
from .volume_io import write_volume

_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def result_name(source: str | Path) -> str:
    """The name of a result: the input's file or folder name without its extension."""
    name = os.path.basename(os.path.abspath(source))  # links keep their own name: some datasets store by checksum
    for extension in _EXTENSIONS:
        if name.lower().endswith(extension):
            return name[: -len(extension)]
    return name


def result_paths(
    outdir: str | Path,
    name: str,
    segments: bool = True,
    brain: bool = False,
    maps: Iterable[str] = (),
    dicom: bool = False,
) -> dict[str, Path]:
    """Where the files of a result go, by their role.

    Args:
        outdir: folder.
        name: see `result_name`.
        segments: whether the model segments; if not, there is no probability and no cortex.
        brain: whether the model predicts a brain mask.
        maps: names of the quality maps to write as well.
        dicom: whether there is a folder of DICOM files as well.
    """
    endings = {
        "sr": "sr.nii.gz",
        "probability": "cortex-probability.nii.gz",
        "labels": "cortex.nii.gz",
        "brain": "brain-mask.nii.gz",
        **{role: f"{role}.nii.gz" for role in maps},
        "dicom": "dicom",
        "qc": "qc.png",
        "record": "record.json",
    }
    left_out = (() if segments else ("probability", "labels")) + (() if brain else ("brain",))
    left_out += () if dicom else ("dicom",)
    return {role: Path(outdir) / f"{name}_{ending}" for role, ending in endings.items() if role not in left_out}


def check_writable(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse, before any work, what cannot be written at its end.

    Raises:
        ValueError: a file is already there and may not be replaced, or the folder cannot be written.
    """
    for path in paths:
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is already there; use --overwrite to replace it, or choose another folder.")
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"The folder {folder} cannot be written; choose another output folder.")


def save_enhancement(
    enhancement: Enhancement,
    image: sitk.Image,
    outdir: str | Path,
    name: str,
    overwrite: bool = False,
    maps: bool = False,
    *,
    source: DicomSource | None = None,
) -> dict[str, Path]:
    """Write SR, probability, labels, picture and record; the record last, so that its presence means a whole result.

    Args:
        enhancement: what `enhance` returned.
        image: its input, for the picture.
        outdir: folder, made if missing.
        name: see `result_name`.
        overwrite: replace files that are there.
        maps: write the maps of quality as well.
        source: the DICOM series that `image` was read from, see `dicom_source.read_source`; with it the result is
            written as DICOM, too, in a folder of its own.

    Returns:
        The written files by role, see `result_paths`.

    Raises:
        ValueError: see `check_writable`.
        VolumeError: a file could not be written; then none is, and what was there before stays.
    """
    extra = enhancement.maps if maps else {}
    segments, brain = enhancement.labels is not None, enhancement.brain is not None
    paths = result_paths(outdir, name, segments, brain, extra, source is not None)
    check_writable(paths.values(), overwrite)
    Path(outdir).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # entered first, the record is renamed last: where there is a record, the result is whole
        temporary = {
            role: stack.enter_context((atomic_folder if role == "dicom" else atomic_path)(paths[role]))
            for role in reversed(paths)
        }
        for role, volume in (*_volumes(enhancement), *extra.items()):
            write_volume(volume, temporary[role])
        if source is not None:
            write_dicom(enhancement, source, temporary["dicom"])
        draw_enhancement(image, enhancement.sr, enhancement.labels, temporary["qc"], name)
        temporary["record"].write_text(json.dumps(enhancement.record, indent=2) + "\n", encoding="utf-8")
    return paths


def _volumes(enhancement: Enhancement) -> list[tuple[str, sitk.Image]]:
    volumes = [
        ("sr", enhancement.sr),
        ("probability", enhancement.probability),
        ("labels", enhancement.labels),
        ("brain", enhancement.brain),
    ]
    return [(role, volume) for role, volume in volumes if volume is not None]
