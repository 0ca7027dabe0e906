"""`import qt` outside Slicer: PySide6, presented the way PythonQt presents Qt inside Slicer.

* one flat namespace: QtCore, QtGui, QtWidgets and QUiLoader;
* every Q_PROPERTY is an attribute (`button.enabled = True`, `combo.currentText`), so calling one is an error;
* `object.connect("clicked(bool)", function)`, where an unknown signal raises;
* `object.name`, `object.className()`, `exec_()`, and dynamic properties as attributes;
* assigning an attribute that a stock Qt object does not have raises AttributeError.
"""

import inspect
import io
import xml.etree.ElementTree as ElementTree

import qt_properties
import qt_signals
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import Property, Qt, Signal, Slot  # noqa: F401  (for the stand-in widgets)

for _module in (QtCore, QtGui, QtWidgets):
    for _name in dir(_module):
        if _name.startswith("Q") and _name not in globals():
            globals()[_name] = getattr(_module, _name)

qt_properties.install(
    [value for value in list(globals().values()) if inspect.isclass(value) and issubclass(value, QtCore.QObject)],
    methods={"connect": qt_signals.connect, "disconnect": qt_signals.disconnect},
)

_standIns: dict[str, type] = {}


def registerStandIns(*classes: type) -> None:
    """Make widget classes known to QUiLoader, under their own names."""
    for cls in classes:
        _standIns[cls.__name__] = cls


class QUiLoader(QtUiTools.QUiLoader):
    """Slicer's .ui loader: knows the stand-ins, refuses other custom widgets, wires `mrmlSceneChanged`."""

    def __init__(self, *args):
        super().__init__(*args)
        for cls in _standIns.values():
            self.registerCustomWidget(cls)

    def load(self, device, parent=None):
        root = ElementTree.parse(io.BytesIO(bytes(device.readAll().data()))).getroot()
        self._checkWidgets(root)
        sceneLinks = self._takeSceneLinks(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(self.errorString())
        byName = {child.objectName: child for child in [widget, *widget.findChildren(QtWidgets.QWidget)]}
        for sender, receiver in sceneLinks:
            byName[sender].mrmlSceneChanged.connect(byName[receiver].setMRMLScene)
        return widget

    @staticmethod
    def _checkWidgets(root) -> None:
        used = {widget.get("class") for widget in root.iter("widget")}
        declared = {custom.findtext("class") for custom in root.iter("customwidget")}
        unknown = {name for name in used if name not in _standIns and name != "Line" and not hasattr(QtWidgets, name)}
        if unknown:
            raise RuntimeError(f"no stand-in for the widgets {sorted(unknown)}")
        if undeclared := {name for name in used if name in _standIns} - declared:
            raise RuntimeError(f"<customwidgets> misses {sorted(undeclared)}")

    @staticmethod
    def _takeSceneLinks(root) -> list[tuple[str, str]]:
        """Remove the `vtkMRMLScene*` connections, which Qt alone cannot make, and return (sender, receiver)."""
        links = []
        connections = root.find("connections")
        for link in list(connections if connections is not None else []):
            if "vtkMRMLScene*" in (link.findtext("signal") or ""):
                links.append((link.findtext("sender"), link.findtext("receiver")))
                connections.remove(link)
        return links
