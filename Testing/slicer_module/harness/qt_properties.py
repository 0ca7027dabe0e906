"""Qt properties as Python attributes, as PythonQt has them (and PySide6 has not)."""

import types

from PySide6.QtCore import Property, QObject

_getOriginal = QObject.__getattribute__
# layout is a method in PythonQt too; the size hints are virtual functions, which PySide6 looks up by attribute
_NOT_PROPERTIES = {"layout", "sizeHint", "minimumSizeHint"}


class QtProperty:
    """One Q_PROPERTY of a class, as a data descriptor."""

    def __init__(self, name: str, original):
        self.name = name
        self.original = original

    def __get__(self, instance, owner):
        if instance is None:  # read on the class, as in QTimer.singleShot
            return self.original if self.original is not None else self
        return instance.property(self.name)

    def __set__(self, instance, value):
        meta = instance.metaObject()
        declared = meta.property(meta.indexOfProperty(self.name))
        if not declared.isWritable():
            raise AttributeError(f"Property '{self.name}' is not writable")
        kind = declared.typeName()
        if kind == "double" and type(value) is int:
            value = float(value)
        if (kind == "int" and isinstance(value, float)) or not instance.setProperty(self.name, value):
            raise ValueError(f"Property '{self.name}' of type '{kind}' does not accept {value!r}")


def install(classes: list[type], methods: dict) -> None:
    """Give `classes` (and their bases) attribute access to their properties, and the named `methods`."""
    patched: set[type] = set()
    for cls in classes:
        for base in reversed(cls.__mro__):
            if issubclass(base, QObject) and base not in patched:
                patched.add(base)
                _installProperties(base)
    QObject.__getattribute__ = _makeGetter(methods)
    for cls in patched:
        cls.__setattr__ = _setAttribute


def _installProperties(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if name not in _NOT_PROPERTIES:
            setattr(cls, name, QtProperty(name, getattr(cls, name, None)))


def _makeGetter(methods: dict):
    renamed = {"name": "objectName", "exec_": "exec"}
    special = {*methods, *renamed, "className"}  # one look for what every attribute of every widget goes through

    def getAttribute(self, name):
        if name in special:
            if name in methods:
                return types.MethodType(methods[name], self)
            if name == "className":
                return lambda: self.metaObject().className()
            name = renamed[name]
        try:
            return _getOriginal(self, name)
        except AttributeError:
            if not name.startswith("_") and name in _dynamicProperties(self):
                return self.property(name)
            raise

    return getAttribute


def _dynamicProperties(instance) -> list[str]:
    return [bytes(name.data()).decode() for name in QObject.dynamicPropertyNames(instance)]


def _setAttribute(self, name, value):
    name = "objectName" if name == "name" else name
    for cls in type(self).__mro__:
        descriptor = cls.__dict__.get(name)
        if isinstance(descriptor, Property):
            return descriptor.fset(self, value)
        if hasattr(type(descriptor), "__set__"):
            return type(descriptor).__set__(descriptor, self, value)
        if descriptor is not None:
            break
    else:
        if type(self).__module__.startswith("PySide6"):
            raise AttributeError(f"There is no attribute named '{name}' on {type(self).__name__}")
    _getOriginal(self, "__dict__")[name] = value
