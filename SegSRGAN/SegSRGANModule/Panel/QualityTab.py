"""The Quality control tab: is the result true to the input, and is the cortex where it should be?"""

from __future__ import annotations

import logging
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .. import Report
from ..ParameterNode import FADE, SIDE_BY_SIDE
from ..Scene import Ownership, ResultNodes, SliceViews
from ..Scene.SegmentVolumes import stampOf, volumesOf
from ..Scene.VolumeNodes import setVolumeFromImage

_FLICKER_MILLISECONDS = 500
_CONSISTENCY_NAME = "consistency"
_CONSISTENCY_ROLE = "SegSRGAN.consistency"
_SHOWN_DEVIATIONS = 6.0  # range of the map's colours, in standard deviations


class QualityTab:
    def __init__(self, ui) -> None:
        self.ui = ui
        self._parameters = None
        self._state = None
        self._stamp = None  # of the volumes in the table
        self._flickerToInput = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_FLICKER_MILLISECONDS)
        self._timer.connect("timeout()", self._onFlicker)
        ui.volumesTable.setHorizontalHeaderLabels([_("Structure"), _("Volume (mL)")])
        ui.volumesTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        ui.volumesTable.verticalHeader().setVisible(False)
        ui.volumesTable.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        ui.volumesTable.setFixedHeight(84)
        ui.flickerButton.connect("toggled(bool)", self._onFlickerToggled)
        ui.consistencyCheckBox.connect("toggled(bool)", self._onConsistency)
        ui.saveReportButton.connect("clicked(bool)", self._onSaveReport)

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self._state = self._viewState()  # a scene that is loaded keeps its own views until something is changed here
        self.update()

    def close(self) -> None:
        """Leave the views alone."""
        self.ui.flickerButton.checked = False
        self._timer.stop()

    def update(self) -> None:
        """Follow the parameters: texts, views and overlay."""
        parameters = self._parameters
        volume = self._result()
        segmentation = parameters.outputSegmentation if parameters else None
        self._showTexts(volume, segmentation)
        for button in (self.ui.compareButton, self.ui.overlayButton, self.ui.measuresButton):
            button.enabled = volume is not None
        if volume is None:
            self.ui.flickerButton.checked = False
            return
        self._updateViews()
        if segmentation:
            self._applyOverlay(segmentation)

    def showResult(self) -> None:
        """A new result: show it the chosen way, whatever was shown before."""
        if state := self._viewState():
            self._arrange()
            self._state = state
        self.update()

    def _viewState(self) -> tuple | None:
        volume = self._result()
        return (self._parameters.comparison, volume.GetID(), self._parameters.fade) if volume else None

    def _result(self):
        """The output volume, once it holds something."""
        volume = self._parameters.outputVolume if self._parameters else None
        return volume if volume and volume.GetImageData() else None

    def _updateViews(self) -> None:
        """Change the views only where a parameter was changed: users and scenes arrange them by other means too."""
        state, shown = self._viewState(), self._state
        self._state = state
        if shown is None or slicer.mrmlScene.IsImporting():
            return
        if state[:2] != shown[:2]:
            self._arrange()
        elif state != shown:
            self.ui.consistencyCheckBox.checked = False
            SliceViews.fade(self._parameters.fade)

    def _arrange(self) -> None:
        self.ui.consistencyCheckBox.checked = False
        SliceViews.arrange(self._parameters.comparison, self._input(), self._parameters.outputVolume)
        SliceViews.fade(self._parameters.fade)

    def _applyOverlay(self, segmentation) -> None:
        display = segmentation.GetDisplayNode()
        if display is None:
            return
        display.SetOpacity2DFill(self._parameters.overlayOpacity)
        display.SetVisibility2DOutline(self._parameters.overlayOutline)
        display.SetVisibility3D(self._parameters.show3D)
        if self._parameters.show3D:
            segmentation.CreateClosedSurfaceRepresentation()

    def _input(self):
        """The volume that the shown result was made from; the selected input if the scene does not say."""
        made = self._parameters.outputVolume.GetNodeReference(Ownership.INPUT_ROLE)
        return made or self._parameters.inputVolume

    def _showTexts(self, volume, segmentation) -> None:
        record = ResultNodes.recordOf(volume)
        empty = _("No result yet: run Enhance first, or load a scene with a result.")
        self.ui.qualityLabel.text = _("Result: {name}").format(name=volume.GetName()) if volume else empty
        self.ui.recordLabel.text = Report.summary(record) if record else ""
        folder = ResultNodes.folderOf(volume)
        hasMap = bool(folder and _consistencyFile(folder))
        self.ui.consistencyCheckBox.enabled = hasMap
        self.ui.consistencyCheckBox.checked = hasMap and self.ui.consistencyCheckBox.checked
        self._showVolumes(segmentation)

    def _showVolumes(self, segmentation) -> None:
        stamp = stampOf(segmentation) if segmentation else None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        rows = volumesOf(segmentation) if segmentation else []
        self.ui.volumesTable.setRowCount(len(rows))
        for index, (name, milliliters) in enumerate(rows):
            self.ui.volumesTable.setItem(index, 0, qt.QTableWidgetItem(name))
            self.ui.volumesTable.setItem(index, 1, qt.QTableWidgetItem(f"{milliliters:.1f}"))

    def _onFlickerToggled(self, isOn: bool) -> None:
        if isOn and self._parameters and self._parameters.comparison == SIDE_BY_SIDE:
            self._parameters.comparison = FADE
        if isOn:
            self.ui.consistencyCheckBox.checked = False
            self._timer.start()
        else:
            self._timer.stop()
            if self._parameters:
                SliceViews.fade(self._parameters.fade)

    def _onFlicker(self) -> None:
        self._flickerToInput = not self._flickerToInput
        SliceViews.fade(0.0 if self._flickerToInput else 1.0)

    def _onConsistency(self, isOn: bool) -> None:
        volume = self._result()
        if volume is None:
            return
        if isOn:
            self.ui.flickerButton.checked = False
            SliceViews.showMap(volume, self._consistencyNode(volume))
        else:
            SliceViews.showVolumes(self._parameters.comparison, self._input(), volume)
            SliceViews.fade(self._parameters.fade)

    @staticmethod
    def _consistencyNode(volume):
        """The map as a volume node: how far the result, acquired again, is from the scan (z-score).

        Each volume has one node for it, filled anew when another run has made the volume.
        """
        import SimpleITK as sitk

        node, folder = volume.GetNodeReference(_CONSISTENCY_ROLE), ResultNodes.folderOf(volume)
        if node is None:
            name = f"{volume.GetName()} {_CONSISTENCY_NAME}"
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetAutoWindowLevel(False)
            node.GetDisplayNode().SetWindowLevelMinMax(-_SHOWN_DEVIATIONS, _SHOWN_DEVIATIONS)
            node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
            volume.SetNodeReferenceID(_CONSISTENCY_ROLE, node.GetID())
        if node.GetAttribute(ResultNodes.FOLDER_ATTRIBUTE) != str(folder):
            setVolumeFromImage(node, sitk.ReadImage(str(_consistencyFile(folder))))
            node.SetAttribute(ResultNodes.FOLDER_ATTRIBUTE, str(folder))
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        return node

    def _onSaveReport(self) -> None:
        pattern = _("Web page (*.html);;Picture (*.png)")
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save the report"), "report.html", pattern)
        if path:
            self.saveReport(Path(path))

    def saveReport(self, path: Path) -> None:
        """Write the report of the shown result; a problem is said in the panel."""
        try:
            Report.save(path, self._parameters.outputVolume, self._parameters.outputSegmentation)
        except (OSError, ValueError) as error:
            logging.exception("SegSRGAN report")
            message = str(error)
        else:
            message = _("Saved {path}.").format(path=path)
        self.update()
        self.ui.recordLabel.text = f"{self.ui.recordLabel.text}\n{message}".strip()


def _consistencyFile(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob(f"*{_CONSISTENCY_NAME}*.nii.gz"))), None)
