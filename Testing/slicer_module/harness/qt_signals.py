"""`object.connect("signal(types)", function)`, as PythonQt has it."""

import inspect

from PySide6.QtCore import QMetaMethod, QMetaObject, QObject

_getOriginal = QObject.__getattribute__
_connections: dict[tuple[int, str], list[tuple]] = {}


def connect(self, signature, slot, *rest):
    """Connect to a Python function, or to `(receiver, "slot()")`.

    Raises:
        ValueError: the object has no such signal.
    """
    if not isinstance(signature, str) or signature[:1] in "12":  # PySide6's own internal use
        return _getOriginal(self, "connect")(signature, slot, *rest)
    if rest:
        target = _getOriginal(slot, rest[0].partition("(")[0])
        findSignal(self, signature).connect(target)
        return True
    count = _argumentCount(slot)

    def call(*args):
        return slot(*args[:count])

    findSignal(self, signature).connect(call)
    _connections.setdefault((id(self), signature), []).append((slot, call))
    return True


def disconnect(self, signature, slot=None):
    """Undo `connect`: one function, or all that were connected to the signal."""
    kept = []
    for connected, call in _connections.get((id(self), signature), []):
        if slot is None or connected == slot:
            findSignal(self, signature).disconnect(call)
        else:
            kept.append((connected, call))
    _connections[(id(self), signature)] = kept
    return True


def findSignal(instance, signature: str):
    """The bound PySide6 signal of a C++ signature such as `valueChanged(double)`."""
    declared = getattr(type(instance), "signalSignatures", {})  # stand-ins name the C++ signatures they offer
    if signature in declared:
        return _getOriginal(instance, declared[signature])
    meta = instance.metaObject()
    normalized = bytes(QMetaObject.normalizedSignature(signature).data()).decode()
    if meta.indexOfSignal(normalized) < 0 or isStandIn(instance, normalized):
        raise ValueError(f"{meta.className()} has no signal '{signature}'")
    name, _, arguments = normalized.partition("(")
    signal = _getOriginal(instance, name)
    methods = [meta.method(index) for index in range(meta.methodCount())]
    overloads = [m for m in methods if m.methodType() == QMetaMethod.Signal and bytes(m.name().data()).decode() == name]
    return signal[arguments.rstrip(")")] if len({bytes(m.methodSignature().data()) for m in overloads}) > 1 else signal


def isStandIn(instance, signature: str) -> bool:
    """Whether the signal is one that a stand-in class brought along under a Python signature."""
    declared = getattr(type(instance), "signalSignatures", {})
    return signature.partition("(")[0] in declared.values()


def _argumentCount(function) -> int | None:
    """How many of the signal's arguments the function takes; None is all."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
