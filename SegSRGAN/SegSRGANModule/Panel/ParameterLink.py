"""Widgets that the parameter node wrapper cannot link by itself: selectors with changing lists, and text paths."""

from __future__ import annotations

from collections.abc import Callable


class Link:
    """Keep one parameter and one widget the same, both ways.

    read: value of the widget. write: put a value into the widget.
    """

    def __init__(self, name: str, widget, signal: str, read: Callable, write: Callable) -> None:
        self._name, self._read, self._write = name, read, write
        self._parameters = None
        self._isUpdating = False
        widget.connect(signal, self._onWidget)

    def setParameters(self, parameters) -> None:
        """Follow this parameter node from now on; None for no node."""
        self._parameters = parameters
        self.update()

    def update(self) -> None:
        """Parameter -> widget."""
        if self._parameters is None:
            return
        value = getattr(self._parameters, self._name)
        if self._read() != value:
            self._isUpdating = True
            self._write(value)
            self._isUpdating = False

    def _onWidget(self, *_arguments) -> None:
        if self._parameters is not None and not self._isUpdating:
            setattr(self._parameters, self._name, self._read())


def pathLink(name: str, edit) -> Link:
    """Of a text parameter and a `ctkPathLineEdit`."""

    def write(value: str) -> None:
        edit.currentPath = value

    return Link(name, edit, "currentPathChanged(QString)", read=lambda: edit.currentPath, write=write)
