"""Slicer's DICOM database: the series of a scan, the patients to choose from, and the way in for results."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from .Ownership import SOURCE_ATTRIBUTE

_INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"  # of every volume that Slicer's DICOM module loaded
_MAGIC, _MAGIC_AT = b"DICM", 128


class Series(NamedTuple):
    """One MR series. file: one of its files."""

    patient: str
    patientId: str
    date: str
    description: str
    images: int
    file: Path


def database():
    """The open database, or None: before the first use of the DICOM module, and outside of the application."""
    found = getattr(slicer, "dicomDatabase", None)
    return found if found and found.isOpen else None


def sourceOf(volumeNode) -> Path | None:
    """A file of the DICOM series that a volume was loaded from; None for other volumes, and when the file is gone."""
    candidates = []
    uids = (volumeNode.GetAttribute(_INSTANCES_ATTRIBUTE) or "").split() if volumeNode else []
    if uids and database():
        candidates.append(database().fileForInstance(uids[0]))
    if volumeNode:
        candidates.append(volumeNode.GetAttribute(SOURCE_ATTRIBUTE))
        storage = volumeNode.GetStorageNode()
        candidates.append(storage.GetFileName() if storage else None)
    files = (firstFile(Path(text)) for text in candidates if text)
    return next((path for path in files if path and isDicom(path)), None)


def firstFile(source: Path) -> Path | None:
    """A DICOM series is named by one of its files; a folder stands for the first one in it."""
    if source.is_dir():
        return next((path for path in sorted(source.iterdir()) if path.is_file()), None)
    return source


def isDicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError:
        return False


def mrSeries() -> list[Series]:
    """Every MR series of the database, patient by patient."""
    db, found = database(), []
    if db is None:
        return found
    for patient in db.patients():
        names = db.nameForPatient(patient), db.fieldForPatient("PatientID", patient)
        for study in db.studiesForPatient(patient):
            date = db.fieldForStudy("StudyDate", study)
            for series in db.seriesForStudy(study):
                files = db.filesForSeries(series)
                if files and db.fieldForSeries("Modality", series) == "MR":
                    text = db.descriptionForSeries(series)
                    found.append(Series(*names, date, text, len(files), Path(files[0])))
    return found


def importFolder(folder: Path) -> None:
    """Copy the DICOM files of a folder into the database.

    Raises:
        RuntimeError: there is no open database, or it did not take the files.
    """
    from DICOMLib import DICOMUtils

    db = database()
    if db is None or DICOMUtils.importDicom(str(folder), db, True) is False:
        raise RuntimeError(_("Slicer's DICOM database did not take the files of {folder}.").format(folder=folder))
