"""A stand-in of `slicer.dicomDatabase` (ctkDICOMDatabase): an index of folders, read with pydicom.

It offers what the module asks, under the names that CTK's header has (`recorded_names.json`). `install` puts it in
place, with a `DICOMLib` whose import has the signature of Slicer's.
"""

import shutil
import sys
import types
from pathlib import Path

import pydicom
import signatures
import slicer


class DicomDatabase:
    isOpen = True

    def __init__(self, folder):
        self._folder, self._headers = folder, {}

    def patients(self):
        return sorted({str(header.PatientName) for header in self._headers.values()})

    def studiesForPatient(self, patient):
        return self._different("StudyInstanceUID", PatientName=patient)

    def seriesForStudy(self, study):
        return self._different("SeriesInstanceUID", StudyInstanceUID=study)

    def filesForSeries(self, series, hits=-1):
        found = [path for path, header in self._headers.items() if header.SeriesInstanceUID == series]
        return found if hits < 0 else found[:hits]

    def fileForInstance(self, instance):
        return next((path for path, header in self._headers.items() if header.SOPInstanceUID == instance), "")

    def nameForPatient(self, patient):
        return patient

    def descriptionForSeries(self, series):
        return self._field("SeriesDescription", SeriesInstanceUID=series)

    def fieldForPatient(self, field, patient):
        return self._field(field, PatientName=patient)

    def fieldForStudy(self, field, study):
        return self._field(field, StudyInstanceUID=study)

    def fieldForSeries(self, field, series):
        return self._field(field, SeriesInstanceUID=series)

    def _different(self, keyword, **where):
        return sorted({str(header[keyword].value) for header in self._matching(where)})

    def _field(self, keyword, **where):
        return str(next(self._matching(where)).get(keyword, ""))

    def _matching(self, where):
        wanted = where.items()
        return (h for h in self._headers.values() if all(str(h.get(keyword)) == value for keyword, value in wanted))

    def _add(self, folder, copies):
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            if copies:
                kept = self._folder / header.SeriesInstanceUID / header.SOPInstanceUID
                kept.parent.mkdir(parents=True, exist_ok=True)
                path = shutil.copy(path, kept)
            self._headers[str(path)] = header


def install(monkeypatch, folder) -> DicomDatabase:
    """`slicer.dicomDatabase` and `DICOMLib`, for one test."""
    database = DicomDatabase(folder)

    def importDicom(dicomDataDir, dicomDatabase, copyFiles):
        (dicomDatabase or database)._add(dicomDataDir, copyFiles)

    library = types.ModuleType("DICOMLib")
    library.DICOMUtils = types.SimpleNamespace(
        importDicom=signatures.stub("DICOMLib.DICOMUtils.importDicom", importDicom)
    )
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    monkeypatch.setitem(sys.modules, "DICOMLib", library)
    return database
