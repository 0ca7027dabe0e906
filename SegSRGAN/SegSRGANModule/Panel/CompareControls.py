"""Scan against result in the slice views: layout, fade, swipe, flicker, fit. Only these controls change the views."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ..Scene import Brain, SliceViews
from ..Scene.Swipe import Swipe

_FLICKER_MILLISECONDS = 500
_MIDDLE = 0.5


class CompareControls:
    def __init__(self, ui) -> None:
        self.ui = ui
        self._scan = self._result = self._mask = self._segmentation = None
        self._isUpdating = self._flickerToScan = False
        self._swipe = Swipe()
        self._timer = qt.QTimer()
        self._timer.setInterval(_FLICKER_MILLISECONDS)
        self._timer.connect("timeout()", self._onFlicker)
        titles = (_("As it is"), _("Four views with 3D"), _("Side by side"), _("Three slices in a row"))
        self._arrangements = dict(zip(titles, SliceViews.ARRANGEMENTS, strict=True))
        ui.layoutSelector.addItems(list(titles))
        ui.layoutSelector.connect("activated(int)", self._onLayout)
        ui.showResultButton.connect("clicked(bool)", lambda: SliceViews.showPair(self._scan, self._result))
        ui.fitButton.connect("clicked(bool)", self._onFit)
        ui.fadeSlider.connect("valueChanged(double)", self._onFade)
        ui.swipeButton.connect("toggled(bool)", self._onSwipeToggled)
        ui.flickerButton.connect("toggled(bool)", self._onFlickerToggled)

    def show(self, scan, result, mask, segmentation) -> None:
        """Follow a result; its views are left as they are."""
        if result is not self._result:
            self.stop()
        self._scan, self._result, self._mask, self._segmentation = scan, result, mask, segmentation
        shown = SliceViews.fadeOf(result) if result else None
        if shown is not None and not (self.ui.flickerButton.checked or self.ui.swipeButton.checked):
            self._isUpdating = True
            self.ui.fadeSlider.value = shown
            self._isUpdating = False

    def stop(self) -> None:
        """No flicker and no curtain any more."""
        self.ui.flickerButton.checked = self.ui.swipeButton.checked = False

    def _onLayout(self, index: int) -> None:
        SliceViews.arrange(list(self._arrangements.values())[index], self._scan, self._result)

    def _onFit(self) -> None:
        SliceViews.fit(Brain.bounds(self._mask, self._segmentation, self._scan or self._result))

    def _onFade(self, value: float) -> None:
        if self._isUpdating:
            return
        if self.ui.swipeButton.checked:
            self._swipe.show(value, self._result)
        else:
            SliceViews.fade(value, self._result)

    def _onSwipeToggled(self, isOn: bool) -> None:
        """The slider moves the curtain; it begins in the middle."""
        if isOn:
            self.ui.flickerButton.checked = False
            self._ensurePair()
            self._isUpdating = True
            self.ui.fadeSlider.value = _MIDDLE
            self._isUpdating = False
            self._swipe.show(_MIDDLE, self._result)
        else:
            self._swipe.off()
            SliceViews.fade(self.ui.fadeSlider.value, self._result)

    def _ensurePair(self) -> None:
        if SliceViews.fadeOf(self._result) is None:
            SliceViews.showPair(self._scan, self._result)  # nothing to compare otherwise

    def _onFlickerToggled(self, isOn: bool) -> None:
        if isOn:
            self.ui.swipeButton.checked = False
            self._ensurePair()
            self._timer.start()
        else:
            self._timer.stop()
            SliceViews.fade(self.ui.fadeSlider.value, self._result)

    def _onFlicker(self) -> None:
        self._flickerToScan = not self._flickerToScan
        SliceViews.fade(0.0 if self._flickerToScan else 1.0, self._result)
