"""The module ``qt``: Slicer's flat list of Qt classes, and nothing beyond it."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost import api
from SlicerHost.answers import replace_dialogs
from SlicerHost.pythonqt import lay_over_pyside


class Facade(types.ModuleType):
    """A module that has exactly the classes the API table has, and says why when asked for another."""

    def __getattr__(self, name: str) -> Any:
        prefix = self.__name__.rpartition(".")[2]
        if api.exists_but_is_not_stood_in(f"{prefix}.{name}") or api.class_entry(f"{prefix}.{name}"):
            raise AttributeError(f"{prefix}.{name} is in Slicer, but this host has no stand-in for it")
        raise AttributeError(f"module '{prefix}' has no attribute '{name}': it is not in the API table of Slicer")


def names_of(prefix: str) -> list[str]:
    """Return the bare names of the classes of ``qt``, ``ctk`` or ``slicer`` in the API table."""
    return [name.partition(".")[2] for name in api.table()["classes"] if name.startswith(f"{prefix}.")]


def make_qt() -> types.ModuleType:
    """Return the module ``qt``, with PythonQt's rules laid over PySide6."""
    lay_over_pyside()
    replace_dialogs()
    module = Facade("qt", "Qt as Slicer's Python sees it")
    for name in names_of("qt"):
        found = next((getattr(part, name) for part in (QtCore, QtGui, QtWidgets) if hasattr(part, name)), None)
        if found is not None:
            setattr(module, name, found)
    module.Signal = QtCore.Signal
    return module
