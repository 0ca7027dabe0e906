"""Stand-in of Slicer's `parameterNodeWrapper`: typed access to a vtkMRMLScriptedModuleNode and links to widgets.

Values are stored under the same names and in the same text form as Slicer's own, so scenes are interchangeable.
`wrapper_facts.py` compares its behaviour with what the real one was seen to do.
"""

import dataclasses
import enum
import pathlib
import types
import typing

import slicer
import vtk


@dataclasses.dataclass
class WithinRange:
    minimum: float
    maximum: float


@dataclasses.dataclass
class Minimum:
    minimum: float


@dataclasses.dataclass
class Maximum:
    maximum: float


@dataclasses.dataclass
class Default:
    value: object


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


class Choice:
    def __init__(self, choices):
        self.choices = list(choices)


class Parameter:
    """One annotated attribute of a wrapped class: its type, its checks, its text form."""

    def __init__(self, name, hint, given=dataclasses.MISSING):
        self.name, self.notes = name, ()
        if typing.get_origin(hint) is typing.Annotated:
            hint, *self.notes = typing.get_args(hint)
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
        self.type = hint
        self.isNode = isinstance(hint, type) and issubclass(hint, slicer.vtkMRMLNode)
        plain = hint in (int, float, bool, str, pathlib.Path) or issubclass(hint, enum.Enum)
        if not self.isNode and not plain:
            raise TypeError(f"parameter {name}: the stand-in does not know the type {hint}")
        self.default = self._default() if given is dataclasses.MISSING else given

    def note(self, *kinds):
        return next((note for note in self.notes if isinstance(note, kinds)), None)

    def choices(self):
        return list(self.type) if issubclass(self.type, enum.Enum) else self.note(Choice).choices

    def _default(self):
        if self.isNode:
            return None
        if note := self.note(Default):
            return note.value
        if issubclass(self.type, enum.Enum) or self.note(Choice):
            return self.choices()[0]
        bound = self.note(WithinRange, Minimum)
        return self.type(max(0, bound.minimum)) if bound else self.type()

    def checked(self, value):
        """The value if it passes; ValueError or TypeError as Slicer's validators raise them."""
        if self.isNode:
            if value is not None and not isinstance(value, self.type):
                raise TypeError(f"{self.name}: {value.GetClassName()} is not a {self.type.__name__}")
            return value
        isWholeFloat = self.type is float and type(value) is int  # accepted, and stored without a decimal point
        if not isinstance(value, self.type) and not isWholeFloat:
            raise TypeError(f"{self.name}: {value!r} is not a {self.type.__name__}")
        for note in self.notes:
            low, high = getattr(note, "minimum", None), getattr(note, "maximum", None)
            if (low is not None and value < low) or (high is not None and value > high):
                raise ValueError(f"{self.name}: {value} is out of range {note}")
            if isinstance(note, Choice) and value not in note.choices:
                raise ValueError(f"{self.name}: {value!r} is not one of {note.choices}")
        return value

    def write(self, node, value):
        value = self.checked(value)
        was = node.StartModify()
        if self.isNode:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
        else:
            node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))
        node.EndModify(was)

    def read(self, node):
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.type is bool:
            return text == "True"
        return self.type[text] if issubclass(self.type, enum.Enum) else self.type(text)


def parameterNodeWrapper(cls):
    """Class decorator: the annotated attributes become typed views of a parameter node."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {
        name: Parameter(name, hint, cls.__dict__.get(name, dataclasses.MISSING)) for name, hint in hints.items()
    }
    members = {name: property(parameter_getter(p), parameter_setter(p)) for name, p in parameters.items()}
    methods = {name: value for name, value in vars(_Wrapper).items() if not name.startswith("__") or name == "__init__"}
    for name, value in {**methods, **members, "allParameters": parameters, "__setattr__": _setKnown}.items():
        setattr(cls, name, value)
    return cls


def parameter_getter(parameter):
    return lambda self: parameter.read(self.parameterNode)


def parameter_setter(parameter):
    return lambda self, value: parameter.write(self.parameterNode, value)


def _setKnown(self, name, value):
    """Stricter than Slicer's, which takes any attribute: a misspelt parameter is an error here."""
    if name not in self.allParameters:
        raise AttributeError(f"{type(self).__name__} has no parameter '{name}'")
    self.allParameters[name].write(self.parameterNode, value)


class _Wrapper:
    """The methods that every wrapped class gets."""

    def __init__(self, parameterNode):
        self.__dict__.update(parameterNode=parameterNode, _links={})
        for parameter in self.allParameters.values():
            if parameter.name not in parameterNode.GetParameterNames():
                parameter.write(parameterNode, parameter.default)

    def connectGui(self, gui):
        from parameter_links import Links

        tag = len(self._links) + 1
        self._links[tag] = Links(self, gui)
        return tag

    def disconnectGui(self, tag):
        if tag in self._links:
            self._links.pop(tag).close()

    def default(self, name):
        return self.allParameters[name].default

    def getValue(self, name):
        return self.allParameters[name].read(self.parameterNode)

    def setValue(self, name, value):
        self.allParameters[name].write(self.parameterNode, value)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was):
        return self.parameterNode.EndModify(was)

    def Modified(self):
        self.parameterNode.Modified()


MODIFIED = vtk.vtkCommand.ModifiedEvent
