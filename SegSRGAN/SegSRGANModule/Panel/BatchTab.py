"""The Batch tab: a folder or list of volumes, how each stands, and one case at a double click."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from ..Jobs import BatchJob
from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Scene import DicomDatabase
from ..Services import Enhances, Services
from ..Settings import EnhanceSettings
from .ParameterLink import pathLink
from .RunControl import RunControl
from .RunDisplay import RunDisplay
from .Tables import fillTable, setUpTable

_REFRESH_MILLISECONDS = 5000


class BatchTab:
    """onCase: called with the `BatchJob.Case` that a reader wants to see; returns what to say of it, or ""."""

    def __init__(self, ui, logic: Enhances, services: Services, onCase: Callable[[BatchJob.Case], str]) -> None:
        self.ui, self.logic, self._services, self._onCase = ui, logic, services, onCase
        self._parameters: Any = None
        self._cases: list[BatchJob.Case] = []
        self._problem = self._message = ""
        self._looked: tuple = ()  # the places that were looked at last, and the spacing that names results
        display = RunDisplay(ui.batchProgressBar, ui.batchStatusLabel, ui.batchDetailsButton, ui.batchDetailsText)
        self.control = RunControl(display, services.packages)
        ui.batchSourceEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.batchListEdit.filters = ctk.ctkPathLineEdit.Files
        ui.batchOutputEdit.filters = ctk.ctkPathLineEdit.Dirs
        setUpTable(ui.casesTable, (_("Volume"), _("State"), _("Verdict"), _("Cortex (mL)")), wide=2)
        self._links = [
            pathLink("batchSource", ui.batchSourceEdit),
            pathLink("batchList", ui.batchListEdit),
            pathLink("batchOutput", ui.batchOutputEdit),
        ]
        self._timer = qt.QTimer()
        self._timer.setInterval(_REFRESH_MILLISECONDS)
        self._timer.connect("timeout()", self.refresh)
        ui.startBatchButton.connect("clicked(bool)", self._onStart)
        ui.stopBatchButton.connect("clicked(bool)", lambda: self.control.stop())
        ui.refreshBatchButton.connect("clicked(bool)", self.refresh)
        ui.openCaseButton.connect("clicked(bool)", self._onOpen)
        ui.dicomSeriesButton.connect("clicked(bool)", self._onDicom)
        ui.casesTable.connect("cellDoubleClicked(int,int)", self._onRow)
        ui.casesTable.connect("itemSelectionChanged()", self._onSelected)

    def setParameters(self, parameters) -> None:
        self._parameters, self._message = parameters, ""
        for link in self._links:
            link.setParameters(parameters)
        self.update()

    def update(self) -> None:
        """Buttons and texts; the table is read again where the folders are others, or by `refresh`."""
        for link in self._links:
            link.update()
        looked = (*self._places(), self._parameters.spacing if self._parameters else None)
        if looked != self._looked:
            self._looked = looked
            self.refresh()
        running, ui = self.control.isRunning, self.ui
        ui.dicomSeriesButton.enabled = DicomDatabase.database() is not None
        ui.dicomSeriesButton.toolTip = self._dicomTip()
        ui.startBatchButton.enabled = not running and not self._problem
        ui.startBatchButton.toolTip = self._problem or _("Enhance what is not done yet, with the options of Enhance")
        ui.stopBatchButton.enabled = running
        ui.openCaseButton.enabled = any(case.state == BatchJob.DONE for case in self._cases)
        if not running:
            ui.batchStatusLabel.text = " ".join(filter(None, [self._message, self._problem]))

    def refresh(self, *_arguments) -> None:
        """Look at the folders again: which volumes there are, and which are done."""
        try:
            source, output = self._places()
            self._cases = BatchJob.cases(source, output, self._settings()) if self._parameters else []
            self._problem = ""
        except (OSError, ValueError) as error:
            self._cases, self._problem = [], str(error)
        states = _states()
        rows = [
            (case.name, case.reason or states.get(case.state, case.state), case.verdict or "\u2013", case.volume)
            for case in self._cases
        ]
        fillTable(self.ui.casesTable, rows)
        self.ui.openCaseButton.enabled = any(case.state == BatchJob.DONE for case in self._cases)

    def close(self) -> None:
        """End the run."""
        self._timer.stop()
        self.control.close()

    def _places(self) -> tuple[str, str]:
        parameters = self._parameters
        return (parameters.batchList or parameters.batchSource, parameters.batchOutput) if parameters else ("", "")

    def _settings(self) -> EnhanceSettings:
        """Those of Enhance; whether a volume is a brain already is another matter here."""
        settings = replace(EnhanceSettings.fromParameters(self._parameters), isBrain=self._parameters.batchIsBrain)
        return self.logic.resolved(settings)

    def _onStart(self) -> None:
        model = self._settings().model
        choices = self._services.models.choices()
        if not self._services.terms.ensure(next((choice for choice in choices if choice.key == model), None)):
            return
        self._message = self.control.launch(self._begin)
        self.update()

    def _begin(self) -> ChildProcess:
        display = self.control.display
        run = BatchJob.start(*self._places(), self._settings(), self._onCompleted, display.progress)
        self._timer.start()
        return run

    def _onCompleted(self, outcome: Outcome) -> None:
        self._timer.stop()
        if not self.control.ended(outcome, _("Done. Double-click a volume to look at it.")):
            return
        if outcome.cancelled:
            self.ui.batchStatusLabel.text = _("Stopped. Finished volumes stay; Start goes on with the others.")
        self._message = self.ui.batchStatusLabel.text
        self.refresh()
        self.update()

    def _dicomTip(self) -> str:
        if self.ui.dicomSeriesButton.enabled:
            return _("MR series of Slicer's DICOM database, as a list beside the results.")
        return _("Slicer's DICOM database is not open: open the module DICOM once.")

    def _onDicom(self) -> None:
        """Series of the database become the list of volumes."""
        found = DicomDatabase.mrSeries()
        line = _("{patient} ({patientId}), {date}, {description}, {images} images")
        lines = [line.format(**one._asdict()) for one in found]
        text = _("Pick the T2-weighted series to enhance. Results are called after the patient's ID and the series.")
        picked = [found[index] for index in self._services.questions.pick(text, lines)]
        try:
            if picked:
                self._parameters.batchList = str(BatchJob.writeList(picked, self._parameters.batchOutput))
                self.refresh()
            self._message = ""
        except (OSError, ValueError) as error:
            self._message = str(error)
        self.update()

    def _onSelected(self) -> None:
        """Why a volume failed is longer than its column."""
        row = self.ui.casesTable.currentRow()
        if 0 <= row < len(self._cases) and self._cases[row].reason and not self.control.isRunning:
            self.ui.batchStatusLabel.text = f"{self._cases[row].name}: {self._cases[row].reason}"

    def _onRow(self, row: int, column: int = 0) -> None:
        if 0 <= row < len(self._cases) and self._cases[row].state == BatchJob.DONE:
            try:
                self._message = self._onCase(self._cases[row])
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                logging.exception("SegSRGAN case")
                self._message = _("{name} could not be loaded: {error}").format(name=self._cases[row].name, error=error)
            self.update()

    def _onOpen(self) -> None:
        self._onRow(max(0, self.ui.casesTable.currentRow()))


def _states() -> dict[str, str]:
    return {
        BatchJob.WAITING: _("waiting"),
        BatchJob.DONE: _("done"),
        "failed": _("failed"),
        "busy": _("busy elsewhere"),
        "cancelled": _("stopped"),
    }
