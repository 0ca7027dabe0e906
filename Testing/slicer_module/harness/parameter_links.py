"""Two-way links between a wrapped parameter node and the widgets whose `SlicerParameterName` names a parameter."""

import dataclasses
import enum
import pathlib
from collections.abc import Callable

import ctk
import qt
import slicer
from slicer.parameterNodeWrapper import MODIFIED, Choice, Decimals, SingleStep, WithinRange


@dataclasses.dataclass(frozen=True)
class _Link:
    """How one class of widget holds a value: (widget, parameter) -> value, and back."""

    types: tuple[type, ...]
    signal: str
    read: Callable
    write: Callable


def _setText(widget, parameter, value):
    if widget.text != value:
        widget.text = value


def _property(name: str) -> tuple[Callable, Callable]:
    return (lambda w, p: p.type(getattr(w, name))), (lambda w, p, value: setattr(w, name, value))


_CHOICE = (
    (lambda w, p: p.choices()[w.currentIndex]),
    (lambda w, p, value: setattr(w, "currentIndex", p.choices().index(value))),
)
_PATH = (lambda w, p: p.type(w.currentPath)), (lambda w, p, value: setattr(w, "currentPath", str(value)))
_NODE = (lambda w, p: w.currentNode()), (lambda w, p, value: w.setCurrentNode(value))

# The real wrapper refuses every other pair of widget and type, and so does this one.
_LINKS = {
    qt.QCheckBox: _Link((bool,), "stateChanged", *_property("checked")),
    qt.QPushButton: _Link((bool,), "toggled", *_property("checked")),
    qt.QSpinBox: _Link((int,), "valueChanged", *_property("value")),
    qt.QSlider: _Link((int,), "valueChanged", *_property("value")),
    qt.QDoubleSpinBox: _Link((float,), "valueChanged", *_property("value")),
    ctk.ctkSliderWidget: _Link((float,), "valueChanged", *_property("value")),
    qt.QLineEdit: _Link((str,), "textChanged", _property("text")[0], _setText),
    qt.QComboBox: _Link((str, int, float, enum.Enum), "currentIndexChanged", *_CHOICE),
    ctk.ctkPathLineEdit: _Link((pathlib.Path,), "currentPathChanged", *_PATH),
    slicer.qMRMLNodeComboBox: _Link((slicer.vtkMRMLNode,), "currentNodeChanged", *_NODE),
}


class Links:
    """Every link of one `connectGui` call."""

    def __init__(self, wrapper, gui):
        self.wrapper, self.links, self.isUpdating = wrapper, [], False
        widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QWidget) else vars(gui).values()
        for widget in widgets:
            if name := widget.property("SlicerParameterName"):
                self._connect(name, widget)
        self.tag = wrapper.AddObserver(MODIFIED, self.update)

    def _connect(self, name, widget):
        parameter = self.wrapper.allParameters.get(name)
        if parameter is None:
            raise ValueError(f"the .ui names an unknown parameter '{name}'")
        link = _LINKS.get(type(widget))
        if link is None or not any(issubclass(parameter.type, kind) for kind in link.types):
            raise RuntimeError(f"no link of '{name}' ({parameter.type.__name__}) to a {type(widget).__name__}")
        _prepare(widget, parameter)
        link.write(widget, parameter, parameter.read(self.wrapper.parameterNode))

        def changed(*_):
            if not self.isUpdating:
                parameter.write(self.wrapper.parameterNode, link.read(widget, parameter))

        getattr(widget, link.signal).connect(changed)
        self.links.append((parameter, widget, link, changed))

    def update(self, *_):
        """Node -> widgets."""
        if self.isUpdating:
            return
        self.isUpdating = True
        try:
            for parameter, widget, link, _changed in self.links:
                link.write(widget, parameter, parameter.read(self.wrapper.parameterNode))
        finally:
            self.isUpdating = False

    def close(self):
        self.wrapper.RemoveObserver(self.tag)
        for _parameter, widget, link, changed in self.links:
            getattr(widget, link.signal).disconnect(changed)


def _prepare(widget, parameter):
    """Range, step and choices of the widget follow the annotations."""
    if note := parameter.note(Decimals):
        widget.decimals = note.value
    if note := parameter.note(SingleStep):
        widget.singleStep = note.value
    bounds = parameter.note(WithinRange)
    if isinstance(widget, ctk.ctkSliderWidget) and bounds is None:
        raise RuntimeError(f"{parameter.name}: a slider needs WithinRange")
    if isinstance(widget, (qt.QSpinBox, qt.QDoubleSpinBox, ctk.ctkSliderWidget)):
        whole = isinstance(widget, qt.QSpinBox)
        widget.minimum, widget.maximum = (
            (bounds.minimum, bounds.maximum) if bounds else (-(2**31), 2**31 - 1) if whole else (-1e300, 1e300)
        )
    if isinstance(widget, qt.QComboBox):
        if not issubclass(parameter.type, enum.Enum) and not parameter.note(Choice):
            raise RuntimeError(f"{parameter.name}: a combo box needs Choice")
        widget.clear()
        widget.addItems([getattr(choice, "name", str(choice)) for choice in parameter.choices()])
    if isinstance(widget, slicer.qMRMLNodeComboBox):
        widget.nodeTypes = [parameter.type.__name__]
