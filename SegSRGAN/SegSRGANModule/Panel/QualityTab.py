"""The Quality control tab, a reader's page: verdict, tissues, agreement with the scan, comparison, overlay, report."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..Jobs import TrainingPairs
from ..Scene import BrainMask, InputTraits, Ownership, ReportNode, ResultNodes, SegmentEdits, SliceViews
from ..Services import Services
from . import RecordTexts
from .AgreementList import AgreementList
from .CompareControls import CompareControls
from .DicomExport import DicomExport
from .OverlayControls import OverlayControls
from .TissueTable import TissueTable


class QualityTab:
    def __init__(self, ui, services: Services) -> None:
        self.ui = ui
        self._parameters: Any = None
        self._message, self._shown = "", None
        self.tissues = TissueTable(ui, self._say)
        self.agreement = AgreementList(ui)
        self.compare = CompareControls(ui)
        self.overlay = OverlayControls(ui)
        self.dicom = DicomExport(ui, services, self._say)
        ui.editCortexButton.connect("clicked(bool)", self._onEditCortex)
        ui.usePairButton.connect("clicked(bool)", self._onUsePair)
        ui.saveReportButton.connect("clicked(bool)", self._onSaveReport)

    def setParameters(self, parameters) -> None:
        self._parameters, self._message = parameters, ""
        self.update()

    def close(self) -> None:
        """Leave the views alone, and end a run."""
        self.compare.stop()
        self.dicom.close()

    def update(self) -> None:
        """Follow the result of the selected scan: texts and tables, never the views."""
        parameters, ui = self._parameters, self.ui
        result = self._result()
        segmentation = parameters.outputSegmentation if parameters else None
        if result is not self._shown:
            self._shown, self._message = result, ""
        record = ResultNodes.recordOf(result)
        self._showTexts(result, record)
        self.tissues.show(segmentation if result else None, result, record)
        self.agreement.show(result, record)
        self.compare.show(Ownership.ownerOf(result), result, parameters.brainMask if parameters else None, segmentation)
        self.overlay.show(segmentation if result else None, parameters.inputVolume if parameters else None)
        self.dicom.show(Ownership.ownerOf(result), result, segmentation)
        for button in (ui.editCortexButton, ui.usePairButton, ui.statisticsButton):
            button.enabled = bool(result and segmentation)
        for group in (ui.measuresButton, ui.agreementButton, ui.compareButton, ui.saveReportButton):
            group.enabled = result is not None

    def showResult(self) -> None:
        """A new result: offered to the views that show its scan."""
        if result := self._result():
            self._message = ""
            self.agreement.hideMap()
            SliceViews.offer(Ownership.ownerOf(result), result)
        self.update()

    def saveReport(self, path: Path) -> None:
        """Write the page of the shown result; a problem is said in the panel."""
        page = ReportNode.pageOf(self._result())
        try:
            if page is None:
                raise ValueError(_("This result has no page: it was made by an earlier version. Run Apply again."))
            path.write_text(page, encoding="utf-8")
        except (OSError, ValueError) as error:
            logging.exception("SegSRGAN report")
            self._say(str(error))
            return
        message = _("Saved {path}.").format(path=path)
        if SegmentEdits.editedSegments(self._parameters.outputSegmentation):
            message += " " + _("It shows the segmentation as computed, not as edited since.")
        self._say(message)

    def _onEditCortex(self) -> None:
        BrainMask.openInEditor(self._parameters.outputSegmentation, self._result())

    def _onUsePair(self) -> None:
        """A result whose segmentation was corrected is something to learn from."""
        segmentation = self._parameters.outputSegmentation
        try:
            TrainingPairs.add(self._parameters.parameterNode, self._result(), segmentation)
        except ValueError as error:
            self._say(str(error))
        else:
            text = _("{name} is in the list of the Training tab.")
            if not SegmentEdits.editedSegments(segmentation):
                text += " " + _("Its segmentation was not corrected: a model that learns from it repeats its mistakes.")
            self._say(text.format(name=self._result().GetName()))

    def _result(self):
        """The output volume, once it holds something."""
        volume = self._parameters.outputVolume if self._parameters else None
        return volume if volume and volume.GetImageData() else None

    def _showTexts(self, result, record: dict | None) -> None:
        ui = self.ui
        owner = Ownership.ownerOf(result)
        if result is None:
            ui.verdictLabel.text = ""
            ui.qualityLabel.text = _("No result yet: run Enhance first, or load a scene with a result.")
        else:
            ui.verdictLabel.text = RecordTexts.verdict(record)
            text = _("{result}, made from {scan}") if owner else "{result}"
            lines = [text.format(result=result.GetName(), scan=owner.GetName() if owner else "")]
            if InputTraits.hasChanged(owner, result):
                changed = _("{scan} was changed since this run: the result shows it as it was.")
                lines.append("\u26a0 " + changed.format(scan=owner.GetName()))
            ui.qualityLabel.text = "\n".join(lines)
        ui.verdictLabel.visible = bool(ui.verdictLabel.text)
        ui.recordLabel.text = "\n".join(filter(None, [RecordTexts.summary(record) if result else "", self._message]))

    def _say(self, message: str) -> None:
        self._message = message
        self.update()

    def _onSaveReport(self) -> None:
        window, title = slicer.util.mainWindow(), _("Save the report")
        name = f"{self._result().GetName()}.html"
        if path := qt.QFileDialog.getSaveFileName(window, title, name, _("Web page (*.html)")):
            self.saveReport(Path(path))
