"""Filling, outline and 3D surface of the segmentation: the widgets and its display node follow each other."""

from __future__ import annotations

from typing import Any

import vtk

from ..Scene import OtherOverlays


class OverlayControls:
    def __init__(self, ui) -> None:
        self.ui = ui
        self._segmentation: Any = None
        self._display: Any = None
        self._tag: int | None = None
        self._isUpdating = False
        self._scan: Any = None
        ui.opacitySlider.connect("valueChanged(double)", self._write)
        ui.outlineCheckBox.connect("toggled(bool)", self._write)
        ui.show3DButton.connect("toggled(bool)", self._write)
        ui.hideOthersButton.connect("clicked(bool)", self._onHideOthers)

    def show(self, segmentation, scan) -> None:
        """Follow the display of a segmentation, or of none; say whose overlays lie over `scan`, too."""
        self._scan = scan
        display = segmentation.GetDisplayNode() if segmentation else None
        if display is not self._display:
            if self._tag is not None:
                self._display.RemoveObserver(self._tag)
            self._display = display
            self._tag = display.AddObserver(vtk.vtkCommand.ModifiedEvent, self._read) if display else None
        self._segmentation = segmentation
        self.ui.overlayButton.enabled = self._showOthers() or display is not None
        self._read()

    def _read(self, *_event) -> None:
        if self._display is None or self._isUpdating:
            return
        self._isUpdating = True
        self.ui.opacitySlider.value = self._display.GetOpacity2DFill()
        self.ui.outlineCheckBox.checked = self._display.GetVisibility2DOutline()
        self.ui.show3DButton.checked = self._display.GetVisibility3D() and self._hasSurface()
        self._isUpdating = False

    def _write(self, *_value) -> None:
        if self._display is None or self._isUpdating:
            return
        self._isUpdating = True
        self._display.SetOpacity2DFill(self.ui.opacitySlider.value)
        self._display.SetVisibility2DOutline(self.ui.outlineCheckBox.checked)
        self._display.SetVisibility3D(self.ui.show3DButton.checked)
        if self.ui.show3DButton.checked:
            self._segmentation.CreateClosedSurfaceRepresentation()
        self._isUpdating = False

    def _showOthers(self) -> bool:
        """Whether there are any."""
        others = OtherOverlays.over(self._scan)
        text = OtherOverlays.describe(self._scan, others)
        self.ui.otherOverlaysLabel.text = f"\u26a0 {text}" if text else ""
        self.ui.otherOverlaysLabel.visible = self.ui.hideOthersButton.visible = bool(others)
        return bool(others)

    def _onHideOthers(self) -> None:
        OtherOverlays.hide(OtherOverlays.over(self._scan))
        self._showOthers()

    def _hasSurface(self) -> bool:
        from ..Scene.ResultNodes import SURFACE

        return self._segmentation.GetSegmentation().ContainsRepresentation(SURFACE)
