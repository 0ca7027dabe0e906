"""The files of one result, written all or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import SimpleITK as sitk

from ..data.classes import CORTEX, file_part
from ..inference.enhancement import Enhancement
from ..io.dicom.study import DicomSource
from ..io.file_names import volume_stem
from ..io.volume import write_volume
from ..utils.atomic_files import atomic_folder, atomic_path
from ..visualization.qc_picture import draw_enhancement
from .dicom_folder import write_dicom

_FILE_NAME = re.compile(r"[^/\\]*[^./\\][^/\\]*")  # of something in the same folder


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
        **_segmentation_endings(classes),
        **({} if brain is None else {brain: "brain-mask.nii.gz"}),
        **{role: f"{role}.nii.gz" for role in maps},
        "dicom": "dicom",
        "qc": "qc.png",
        "record": "record.json",
    }
    return {role: Path(outdir) / f"{name}_{ending}" for role, ending in endings.items() if role != "dicom" or dicom}


def _segmentation_endings(classes: Sequence[str]) -> dict[str, str]:
    if tuple(classes) == (CORTEX,):
        return {"probability": "cortex-probability.nii.gz", "labels": "cortex.nii.gz"}
    roles = [f"{file_part(name)}-probability" for name in classes] + (["segmentation"] if classes else [])
    return {role: f"{role}.nii.gz" for role in roles}


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


def recorded_files(record: Path) -> list[Path]:
    """The other files of the result that a record describes, all beside it; none where there is no such record."""
    try:
        names = json.loads(record.read_text(encoding="utf-8")).get("files", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [record.parent / name for name in names if isinstance(name, str) and _FILE_NAME.fullmatch(name)]


def remove(path: Path) -> None:
    """A file, or a folder with what it holds; nothing where there is none."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
    """Write SR, probabilities, labels, picture and record; the record last: where there is one, the result is whole.

    Args:
        enhancement: what `enhance` returned.
        image: its input, for the picture.
        outdir: folder, made if missing.
        name: see `result_name`.
        overwrite: replace files that are there; what else the earlier result of that name had is removed.
        maps: write the maps of quality as well.
        source: the DICOM series that `image` was read from, see `study.read_source`; with it the result is
            written as DICOM, too, in a folder of its own.

    Returns:
        The written files by role, see `result_paths`.

    Raises:
        ValueError: see `check_writable`.
        VolumeError: a file could not be written; then none is, and what was there before stays.
    """
    extra = enhancement.maps if maps else {}
    brain = "mask" if enhancement.mask is not None else "brain" if enhancement.brain is not None else None
    paths = result_paths(outdir, name, tuple(enhancement.probabilities), brain, extra, source is not None)
    check_writable(paths.values(), overwrite)
    Path(outdir).mkdir(parents=True, exist_ok=True)
    earlier = recorded_files(paths["record"])
    record = {**enhancement.record, "files": sorted(path.name for role, path in paths.items() if role != "record")}
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
        draw_enhancement(image, enhancement, temporary["qc"], name)
        temporary["record"].write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for path in set(earlier) - set(paths.values()):  # for instance the cortex, when the new model has none
        remove(path)
    return paths


def _volumes(enhancement: Enhancement) -> list[tuple[str, sitk.Image]]:
    volumes = [("sr", enhancement.sr), ("brain", enhancement.brain), ("mask", enhancement.mask)]
    if enhancement.labels is not None:
        roles = _segmentation_endings(tuple(enhancement.probabilities))
        volumes += zip(roles, (*enhancement.probabilities.values(), enhancement.labels), strict=True)
    return [(role, volume) for role, volume in volumes if volume is not None]
