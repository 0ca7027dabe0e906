"""Print what a parameter node wrapper does in 51 small cases.

`wrapper_facts_recorded_from_slicer.txt` holds what the real wrapper printed for the same cases.
"""

import enum
import pathlib
from typing import Annotated


def facts() -> list[str]:
    """One line a case, in the order of the recorded file."""
    import slicer
    from slicer.parameterNodeWrapper import Choice, Default, Minimum, WithinRange, parameterNodeWrapper

    class Mode(enum.Enum):
        A = 1
        B = 2

    @parameterNodeWrapper
    class Parameters:
        v: slicer.vtkMRMLScalarVolumeNode
        f: Annotated[float, WithinRange(0, 10)] = 3
        i: Annotated[int, Minimum(1)] = 4
        b: bool = True
        s: str
        c: Annotated[str, Choice(["x", "y"])] = "x"
        e: Mode = Mode.B
        p: pathlib.Path
        d: Annotated[float, Default(2.5)]
        o: slicer.vtkMRMLVolumeNode | None

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    wrapper = Parameters(node)
    lines = [_line(f"default {name}", lambda name=name: getattr(wrapper, name)) for name in "fibscepd"]
    lines.append(_stored(node))
    lines += _settings(wrapper, Mode)
    lines.append(_stored(node))
    lines += _links(wrapper)
    lines.append(_line("unknown attr", lambda: _set(wrapper, "zzz", 3)))
    return lines


def _settings(wrapper, mode) -> list[str]:
    import slicer

    volume, labels, model = (
        slicer.mrmlScene.AddNewNodeByClass(f"vtkMRML{kind}Node") for kind in ("ScalarVolume", "LabelMapVolume", "Model")
    )
    cases = [("f", 11.0), ("f", 5), ("f", "7"), ("i", 0), ("i", 2.5), ("i", True), ("b", 1), ("b", False), ("s", 5)]
    cases += [("s", "t"), ("c", "z"), ("c", "y"), ("e", mode.A), ("e", "A"), ("p", "str"), ("p", pathlib.Path("/a"))]
    cases += [("v", volume), ("v", labels), ("v", model), ("v", None), ("o", volume), ("o", model)]
    return [_line(f"set {name}={_text(value)}", lambda n=name, v=value: _set(wrapper, n, v)) for name, value in cases]


def _links(wrapper) -> list[str]:
    import ctk
    import qt
    import slicer

    cases = [(qt.QCheckBox, "b"), (qt.QCheckBox, "f"), (ctk.ctkSliderWidget, "f"), (ctk.ctkSliderWidget, "d")]
    cases += [(qt.QLineEdit, "s"), (qt.QLineEdit, "f"), (qt.QComboBox, "c"), (qt.QComboBox, "e"), (qt.QComboBox, "s")]
    cases += [(qt.QSpinBox, "i"), (qt.QDoubleSpinBox, "f"), (ctk.ctkPathLineEdit, "p"), (qt.QLabel, "s")]
    cases += [(qt.QLabel, "f"), (slicer.qMRMLNodeComboBox, "v"), (slicer.qMRMLNodeComboBox, "b")]
    cases += [(qt.QCheckBox, "nope"), (qt.QRadioButton, "b")]
    return [_line(f"gui {cls.__name__} {name}", lambda c=cls, n=name: _connect(wrapper, c, n)) for cls, name in cases]


def _connect(wrapper, cls, name) -> str:
    gui = type("Gui", (), {})()
    gui.widget = cls()
    gui.widget.setProperty("SlicerParameterName", name)
    wrapper.connectGui(gui)
    return "connected"


def _set(wrapper, name, value):
    setattr(wrapper, name, value)
    return getattr(wrapper, name)


def _stored(node) -> str:
    return repr({name: node.GetParameter(name) for name in sorted(node.GetParameterNames())})


def _text(value) -> str:
    return repr(value.GetClassName()) if hasattr(value, "GetClassName") else repr(value)


def _line(label, function) -> str:
    try:
        result = function()
    except Exception as error:  # whatever the wrapper raises is the fact
        return f"{label} -> raises {type(error).__name__}"
    return f"{label} -> {result.GetClassName() if hasattr(result, 'GetClassName') else repr(result)}"
