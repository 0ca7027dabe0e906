"""Questions to the person at the panel: one dialog, the answer in words."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _


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
