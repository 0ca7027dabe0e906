"""*Save as DICOM*: the result into the study of its scan, into Slicer's DICOM database or a folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..Jobs import DicomJob
from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Packages import FOR_DICOM
from ..Scene import DicomDatabase
from ..Services import Services


class DicomExport:
    """say: called with a sentence for the status line of the tab."""

    def __init__(self, ui, services: Services, say: Callable[[str], None]) -> None:
        self._button, self._services, self._say = ui.saveDicomButton, services, say
        self.run: ChildProcess | None = None
        self._result = self._segmentation = None
        self._source: Any = None
        self._button.connect("clicked(bool)", self._onClicked)

    def show(self, scan, result, segmentation) -> None:
        """Follow a result; it can be saved when its scan came from DICOM."""
        self._result, self._segmentation = result, segmentation
        self._source = DicomDatabase.sourceOf(scan) if result else None
        self._button.enabled = self._source is not None and self.run is None
        text = _("The result as a derived series and a segmentation (SEG) in the study of its scan; research use only.")
        reason = _("The scan was not loaded from DICOM, so there is no study to put the result into.")
        self._button.toolTip = text if self._source else reason

    def close(self) -> None:
        run, self.run = self.run, None
        if run:
            run.kill()

    def save(self, folder: Path, completed: Callable[[Path], str]) -> None:
        """Write into `folder`, new or empty; `completed` gets it and returns what to say."""

        def finish(outcome: Outcome) -> None:
            if self.run is None:  # closed
                return
            self.run = None
            self._say(self._ended(outcome, folder, completed))

        try:
            self._services.packages.ensure(FOR_DICOM)
            self.run = DicomJob.start(self._result, self._segmentation, self._source, folder, finish)
        except Exception as error:  # whatever it is, the user reads it in the panel
            logging.exception("SegSRGAN DICOM could not start")
            self._say(str(error))
        else:
            self._say(_("Writing DICOM..."))

    @staticmethod
    def _ended(outcome: Outcome, folder: Path, completed: Callable[[Path], str]) -> str:
        if not outcome.succeeded:
            return outcome.error or _("Cancelled; nothing was written.")
        try:
            return completed(folder)
        except (ImportError, OSError, RuntimeError) as error:
            logging.exception("SegSRGAN DICOM database")
            return str(error)

    def _onClicked(self) -> None:
        intoDatabase, intoFolder = _("Into Slicer's DICOM database"), _("Into a folder...")
        answer = intoFolder
        if DicomDatabase.database():
            text = _("Where shall the DICOM files go? They name the patient, and are for research only.")
            answer = self._services.questions.choose(text, [intoDatabase, intoFolder])
        if answer == intoDatabase:
            self.save(Path(tempfile.mkdtemp(prefix="SegSRGAN-", dir=slicer.app.temporaryPath)), _imported)
        elif answer == intoFolder:
            window, title = slicer.util.mainWindow(), _("An empty folder for the DICOM files")
            if path := qt.QFileDialog.getExistingDirectory(window, title, ""):
                self.save(Path(path), lambda folder: _("Saved {path}.").format(path=folder))


def _imported(folder: Path) -> str:
    """The database has copies of its own."""
    try:
        DicomDatabase.importFolder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _("The result is in Slicer's DICOM database, in the study of its scan.")
