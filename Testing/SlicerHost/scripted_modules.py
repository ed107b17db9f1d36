"""Stand-ins for the C++ side of a scripted module: its entry in ``slicer.modules`` and its panel's outer widget."""

from __future__ import annotations

import importlib
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import qSlicerWidget


@stands_for("slicer.qSlicerScriptedLoadableModule")
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """``slicer.modules.<name>``: what a module says about itself, and the way to its widget."""

    _scene: Any = None
    _path = ""
    _name = ""
    _widget: Any = None
    _logic: Any = None

    def logic(self) -> Any:
        """Return the C++ logic of the scripted module."""
        return self._logic

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Take a scene."""
        self._scene = scene

    def widgetRepresentation(self) -> Any:
        """Return the panel's outer widget, made at the first call."""
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        """Return a new outer widget with the module's panel in it; None for a module without a Widget class."""
        if not hasattr(importlib.import_module(self._name), f"{self._name}Widget"):
            return None
        widget = qSlicerScriptedLoadableModuleWidget()
        widget._module = self
        widget.setMRMLScene(self._scene)
        widget.reload()
        return widget

    name = QtCore.Property(str, lambda self: self._name)
    path = QtCore.Property(str, lambda self: self._path)
    title = plain(str, "")
    helpText = plain(str, "")
    acknowledgementText = plain(str, "")
    categories = plain("QStringList", [""])
    contributors = plain("QStringList", [])
    dependencies = plain("QStringList", [])
    associatedNodeTypes = plain("QStringList", [])
    extensions = plain(object, {})
    hidden = plain(bool, False)
    icon = plain(object, QtGui.QIcon())
    index = plain(int, -1)
    widgetRepresentationCreationEnabled = plain(bool, True)
    defaultDocumentationLink = QtCore.Property(str, lambda _self: "")
    isBuiltIn = QtCore.Property(bool, lambda _self: False)
    isInstalled = QtCore.Property(bool, lambda _self: False)


@stands_for("slicer.qSlicerScriptedLoadableModuleWidget")
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The outer widget of a scripted panel; ``self()`` is the Python widget inside."""

    _module: Any = None
    _python: Any = None
    _entered = False

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        QtWidgets.QVBoxLayout(self)

    def self(self) -> Any:
        """Return the object of the module's Widget class."""
        return self._python

    def module(self) -> Any:
        """Return the module."""
        return self._module

    def reload(self) -> None:
        """Make the Python widget anew and set it up."""
        name = self._module.name
        widget_class = getattr(importlib.import_module(name), f"{name}Widget")
        self._python = widget_class(self)
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()

    def enter(self) -> None:
        """Tell the panel that it is shown."""
        self._entered = True
        self._python.enter()

    def exit(self) -> None:
        """Tell the panel that another module is shown."""
        self._entered = False
        self._python.exit()

    def setEditedNode(self, node: Any, role: str = "", context: str = "") -> bool:
        """Ask the panel to show a node."""
        return (
            bool(self._python.setEditedNode(node, role, context)) if hasattr(self._python, "setEditedNode") else False
        )

    isEntered = QtCore.Property(bool, lambda self: self._entered)
    moduleName = QtCore.Property(str, lambda self: self._module.name)
