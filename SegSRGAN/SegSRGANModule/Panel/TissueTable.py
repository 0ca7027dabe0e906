"""The table of tissues: volume of each segment as it is now, and what the run expected."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..Scene import SegmentStatistics
from ..Scene.SegmentVolumes import stampOf, volumesOf
from . import RecordTexts
from .Tables import fillTable, setUpTable


class TissueTable:
    """say: called with a sentence for the status line of the tab."""

    def __init__(self, ui, say: Callable[[str], None]) -> None:
        self._table, self._say = ui.volumesTable, say
        self._segmentation = self._result = None
        self._stamp: tuple | None = None
        self._rows: list[tuple[str, str, str]] = []
        setUpTable(self._table, self.header())
        ui.copyTissuesButton.connect("clicked(bool)", self.copy)
        ui.exportTissuesButton.connect("clicked(bool)", self._onExport)
        ui.statisticsButton.connect("clicked(bool)", self._onStatistics)

    @staticmethod
    def header() -> tuple[str, str, str]:
        return _("Tissue"), _("mL"), _("Expected (mL)")

    def show(self, segmentation, result, record: dict | None) -> None:
        """Count voxels only when the segmentation or the run is another one. `result` is the enhanced volume."""
        self._segmentation, self._result = segmentation, result
        stamp = (stampOf(segmentation), str(record)) if segmentation else None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        volumes = volumesOf(segmentation) if segmentation else []
        ids = list(segmentation.GetSegmentation().GetSegmentIDs()) if segmentation else []
        self._rows = [
            (name, f"{milliliters:.1f}", RecordTexts.expected(record, segmentId))
            for (name, milliliters), segmentId in zip(volumes, ids, strict=True)
        ]
        fillTable(self._table, self._rows)

    def text(self, separator: str = "\t") -> str:
        stream = io.StringIO()
        csv.writer(stream, delimiter=separator, lineterminator="\n").writerows([self.header(), *self._rows])
        return stream.getvalue()

    def copy(self) -> None:
        qt.QApplication.clipboard().setText(self.text())
        self._say(_("The table is on the clipboard."))

    def export(self, path: Path) -> None:
        try:
            path.write_text(self.text(","), encoding="utf-8")
        except OSError as error:
            logging.exception("SegSRGAN table")
            self._say(str(error))
        else:
            self._say(_("Saved {path}.").format(path=path))

    def _onStatistics(self) -> None:
        try:
            SegmentStatistics.show(self._segmentation, self._result)
        except ImportError:
            self._say(_("This Slicer has no module Segment Statistics."))

    def _onExport(self) -> None:
        window, title = slicer.util.mainWindow(), _("Save the table of tissues")
        if path := qt.QFileDialog.getSaveFileName(window, title, "tissues.csv", "CSV (*.csv)"):
            self.export(Path(path))
