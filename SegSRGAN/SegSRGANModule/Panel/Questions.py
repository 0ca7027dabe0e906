"""Questions to the person at the panel: one dialog, the answer in words."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

_LIST_SIZE = (560, 420)  # pixels


class Questions:
    """What a tab asks before it does something that cannot be taken back."""

    def choose(self, text: str, choices: list[str]) -> str | None:
        """Show `text` with a button for each choice and Cancel; returns the choice, or None."""
        box = qt.QMessageBox(slicer.util.mainWindow())
        box.windowTitle = "SegSRGAN"
        box.text = text
        buttons = {choice: box.addButton(choice, qt.QMessageBox.AcceptRole) for choice in choices}
        box.addButton(_("Cancel"), qt.QMessageBox.RejectRole)
        box.exec_()
        pressed = box.clickedButton()
        return next((choice for choice, button in buttons.items() if button == pressed), None)

    def pick(self, text: str, items: list[str]) -> list[int]:
        """Show `text` above a list; returns the numbers of the picked items, none after Cancel."""
        dialog = qt.QDialog(slicer.util.mainWindow())
        dialog.windowTitle = "SegSRGAN"
        layout, label = qt.QVBoxLayout(dialog), qt.QLabel(text)
        label.wordWrap = True
        choices = qt.QListWidget()
        choices.setSelectionMode(qt.QAbstractItemView.ExtendedSelection)
        choices.addItems(items)
        buttons = qt.QDialogButtonBox()
        buttons.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
        for widget in (label, choices, buttons):
            layout.addWidget(widget)
        buttons.connect("accepted()", dialog.accept)
        buttons.connect("rejected()", dialog.reject)
        dialog.resize(*_LIST_SIZE)
        accepted = dialog.exec_() == qt.QDialog.Accepted
        return sorted(choices.row(item) for item in choices.selectedItems()) if accepted else []
