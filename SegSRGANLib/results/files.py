"""The files of one result, written all or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from ..inference.enhancement import Enhancement
from ..io.dicom.study import DicomSource
from ..io.volume import write_volume
from ..utils.atomic_files import staging_folder
from ..visualization.qc_picture import draw_enhancement
from .dicom_folder import write_dicom
from .html_page import write_subject_report
from .paths import report_path, result_paths, segmentation_endings
from .provenance import content
from .publication import publish

_LONGEST_NAME = 255  # bytes, of all common file systems
_WRITERS = 4  # files at once; compressing them is what takes time, and it keeps no other thread waiting


def check_writable(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse, before any work, what cannot be written at its end.

    Raises:
        ValueError: a file is already there and may not be replaced, or the folder cannot be written.
    """
    for path in paths:
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is already there; use --overwrite to replace it, or choose another folder.")
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            raise ValueError(
                f"The file {path.name[:40]}... would have a name of {len(os.fsencode(path.name))} bytes, and "
                f"{_LONGEST_NAME} are possible: rename the volume."
            )
        folder = path.parent
        while not folder.exists():
            if folder.is_symlink():
                raise ValueError(f"The folder {folder} is a link to a place that does not exist; remove the link.")
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
    report: bool = False,
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
        report: write a page for a browser as well.

    Returns:
        The written files by role, see `result_paths`.

    Raises:
        ValueError: see `check_writable`.
        VolumeError: a file could not be written; then none is, and what was there before stays.
    """
    extra = enhancement.maps if maps else {}
    brain = "mask" if enhancement.mask is not None else "brain" if enhancement.brain is not None else None
    paths = result_paths(outdir, name, tuple(enhancement.probabilities), brain, extra, source is not None)
    paths |= {"report": report_path(outdir, name)} if report else {}
    check_writable(paths.values(), overwrite)
    with staging_folder(Path(outdir)) as staging:
        staged = {role: staging / path.name for role, path in paths.items()}
        with ThreadPoolExecutor(max(1, min(_WRITERS, torch.get_num_threads()))) as pool:
            volumes = (*_volumes(enhancement), *extra.items())
            written = [pool.submit(write_volume, volume, staged[role]) for role, volume in volumes]
            try:
                if source is not None:
                    staged["dicom"].mkdir()
                    write_dicom(enhancement, source, staged["dicom"])
                draw_enhancement(image, enhancement, staged["qc"], name)
                if report:
                    write_subject_report(enhancement, image, staged["report"], name)
            finally:  # what a volume says of a full disk says more than what a picture does
                for volume in written:
                    volume.result()
        places = {path: paths[role] for role, path in staged.items() if role != "record"}
        write_record(staged["record"], enhancement.record, places)
        publish(places, staged["record"], paths["record"])
    return paths


def write_record(path: Path, record: dict[str, Any], places: Mapping[Path, Path]) -> None:
    """Write a record, with the names and contents of the result's other files.

    Args:
        path: to write. record: without them; they are added to it. places: final path of each staged file.
    """
    contents = {place.name: content(staged) for staged, place in places.items()}
    record |= {"files": sorted(contents), "contents": contents}
    path.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _volumes(enhancement: Enhancement) -> list[tuple[str, sitk.Image]]:
    volumes = [("sr", enhancement.sr), ("brain", enhancement.brain), ("mask", enhancement.mask)]
    if enhancement.labels is not None:
        roles = segmentation_endings(tuple(enhancement.probabilities))
        volumes += zip(roles, (*enhancement.probabilities.values(), enhancement.labels), strict=True)
    return [(role, volume) for role, volume in volumes if volume is not None]
