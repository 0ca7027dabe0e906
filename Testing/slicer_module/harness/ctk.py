"""Stand-ins of the CTK widgets that the panel uses.

Names of properties and signals are those of CTK's headers (`recorded_names.json`); a test checks that nothing more is
offered. The looks are rough: pictures taken here show the layout, not CTK's style.
"""

import qt
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal

_HEADER = 24  # height in pixels of a collapsible button's clickable header


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    contentsCollapsed = Signal(bool)
    signalSignatures = {"contentsCollapsed(bool)": "contentsCollapsed"}

    def __init__(self, *args):
        super().__init__(args[-1] if args and isinstance(args[-1], QtWidgets.QWidget) else None)
        if args and isinstance(args[0], str):
            self.setText(args[0])
        self._isCollapsed = False
        self.setContentsMargins(2, _HEADER, 2, 2)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.clicked.connect(lambda: self.setCollapsed(not self._isCollapsed))

    def setCollapsed(self, collapsed):
        if collapsed == self._isCollapsed:
            return
        self._isCollapsed = collapsed
        self._showChildren()
        self.setMaximumHeight(_HEADER if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, lambda self: self._isCollapsed, setCollapsed)

    def _showChildren(self):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not self._isCollapsed)

    def sizeHint(self):
        layout = self.layout()
        hint = layout.sizeHint() if layout and not self._isCollapsed else qt.QSize(100, _HEADER)
        return qt.QSize(hint.width(), max(hint.height(), _HEADER))

    def minimumSizeHint(self):
        layout = self.layout()
        return qt.QSize(0, _HEADER) if self._isCollapsed or not layout else layout.minimumSize()

    def hitButton(self, position):
        return position.y() < _HEADER

    def showEvent(self, event):
        if self._isCollapsed:
            self._showChildren()
        super().showEvent(event)

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        width, height = self.width, self.height
        painter.setPen(QtGui.QColor(160, 160, 160))
        painter.drawRect(0, _HEADER // 2, width - 1, height - _HEADER // 2 - 1)
        painter.fillRect(0, 0, width, _HEADER - 3, self.palette.button())
        painter.setPen(self.palette.text().color())
        painter.drawText(8, 16, "\u25b8" if self._isCollapsed else "\u25be")
        painter.drawText(24, 16, self.text)
        painter.end()


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    signalSignatures = {"valueChanged(double)": "valueChanged", "valueIsChanging(double)": "valueIsChanging"}
    _TICKS = 1000

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider, self._box = QtWidgets.QSlider(Qt.Horizontal), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.setRange(0, self._TICKS)
        self._slider.valueChanged.connect(self._onSlider)
        self._box.valueChanged.connect(self._onBox)

    def _onSlider(self, tick):
        low, high = self._box.minimum, self._box.maximum
        self._box.setValue(low + (high - low) * tick / self._TICKS)

    def _onBox(self, value):
        self._placeSlider()
        self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    def _placeSlider(self):
        low, high = self._box.minimum, self._box.maximum
        self._slider.blockSignals(True)
        self._slider.setValue(round((self._box.value - low) / (high - low) * self._TICKS) if high > low else 0)
        self._slider.blockSignals(False)

    def setValue(self, value):
        self._box.setValue(value)

    def _setMinimum(self, value):
        self._box.setMinimum(value)
        self._placeSlider()

    def _setMaximum(self, value):
        self._box.setMaximum(value)
        self._placeSlider()

    value = Property(float, lambda self: self._box.value, setValue)
    minimum = Property(float, lambda self: self._box.minimum, _setMinimum)
    maximum = Property(float, lambda self: self._box.maximum, _setMaximum)
    singleStep = Property(float, lambda self: self._box.singleStep, lambda self, v: self._box.setSingleStep(v))
    decimals = Property(int, lambda self: self._box.decimals, lambda self, v: self._box.setDecimals(v))
    suffix = Property(str, lambda self: self._box.suffix, lambda self, v: self._box.setSuffix(v))


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = Signal(str)
    signalSignatures = {"currentPathChanged(QString)": "currentPathChanged"}
    Dirs, Files, Drives = 0x001, 0x002, 0x004
    AllEntries = Dirs | Files | Drives

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit, button = QtWidgets.QLineEdit(), QtWidgets.QToolButton()
        button.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(button)
        self._edit.textChanged.connect(self.currentPathChanged.emit)
        self._filters, self._nameFilters, self._settingKey = self.AllEntries, [], ""
        button.clicked.connect(self.browse)

    def browse(self, *_):
        """As CTK does: a dialog for a file where files are allowed, else one for a folder."""
        if self._filters & self.Files:
            path = QtWidgets.QFileDialog.getOpenFileName(self, "", self._edit.text, ";;".join(self._nameFilters))[0]
        else:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, "", self._edit.text)
        if path:
            self._edit.setText(path)

    def _setFilters(self, value):
        self._filters = value

    def _setNameFilters(self, value):
        self._nameFilters = list(value)

    def _setSettingKey(self, value):
        self._settingKey = value

    currentPath = Property(str, lambda self: self._edit.text, lambda self, path: self._edit.setText(path))
    filters = Property(int, lambda self: self._filters, _setFilters)
    nameFilters = Property("QStringList", lambda self: self._nameFilters, _setNameFilters)
    settingKey = Property(str, lambda self: self._settingKey, _setSettingKey)


STAND_INS = (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)
qt.registerStandIns(*STAND_INS)
