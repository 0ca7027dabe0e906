"""Agreement with the scan: figures, the worst places with a way to them, and the map over the result."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..Scene import DisagreementMap, SliceViews
from . import RecordTexts
from .Tables import fillTable, setUpTable


class AgreementList:
    def __init__(self, ui) -> None:
        self.ui = ui
        self._places: list[DisagreementMap.Place] = []
        self._stamp: tuple | None = None
        self._result = None
        self._layer = SliceViews.MapLayer()
        setUpTable(ui.placesTable, (_("Place"), _("Difference"), _("Result is")))
        ui.placesTable.connect("cellDoubleClicked(int,int)", self._onRow)
        ui.jumpButton.connect("clicked(bool)", self._onJump)
        ui.consistencyCheckBox.connect("toggled(bool)", self._onMap)

    def show(self, result, record: dict | None) -> None:
        """Follow another result, or another run that filled it."""
        if result is not self._result:
            self.ui.consistencyCheckBox.checked = False
            self._result = result
        node = DisagreementMap.mapOf(result)
        stamp = (node.GetID(), node.GetImageData().GetMTime()) if node and node.GetImageData() else None
        if stamp != self._stamp:
            self._stamp = stamp
            self._places = DisagreementMap.worstPlaces(node)
            fillTable(self.ui.placesTable, [self._row(place) for place in self._places])
        note = RecordTexts.placesNote(len(self._places), DisagreementMap.SHOWN_FROM) if node else ""
        texts = [RecordTexts.agreement(record), note] if result else []
        self.ui.agreementLabel.text = "\n".join(filter(None, texts))
        self.ui.consistencyCheckBox.enabled = node is not None
        self.ui.consistencyCheckBox.checked = node is not None and self.ui.consistencyCheckBox.checked
        self.ui.jumpButton.enabled = bool(self._places)

    def hideMap(self) -> None:
        self.ui.consistencyCheckBox.checked = False

    @staticmethod
    def _row(place: DisagreementMap.Place) -> tuple[str, str, str]:
        side = _("too bright") if place.deviations > 0 else _("too dark")
        return RecordTexts.position(place.ras), _("{value:.1f} SD").format(value=abs(place.deviations)), side

    def _onRow(self, row: int, column: int = 0) -> None:
        if 0 <= row < len(self._places):
            SliceViews.jump(self._places[row].ras)

    def _onJump(self) -> None:
        self._onRow(max(0, self.ui.placesTable.currentRow()))

    def _onMap(self, isOn: bool) -> None:
        node = DisagreementMap.mapOf(self._result)
        if node is None:
            return
        if isOn:
            DisagreementMap.dress(node)
            self._layer.show(self._result, node)
        else:
            self._layer.hide(node)
