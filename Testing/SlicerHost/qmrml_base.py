"""What Slicer's widgets share: they are given a scene and watch its nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtWidgets

from SlicerHost.faces import stands_for


class Watcher:
    """VTK observers of one widget; they fall silent when Qt has deleted it."""

    def __init__(self, widget: QtCore.QObject) -> None:
        self._widget = widget
        self._observed: list[tuple[Any, int]] = []

    def watch(self, subject: Any, event: Any, react: Callable[[], None]) -> None:
        """Call ``react()`` at every ``event`` of a VTK object."""

        def observer(*_: object) -> None:
            if shiboken6.isValid(self._widget):
                react()

        if subject is not None:
            self._observed.append((subject, subject.AddObserver(event, observer)))

    def stop(self) -> None:
        """Stop watching."""
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed.clear()


@stands_for("slicer.qSlicerWidget")
class qSlicerWidget(QtWidgets.QWidget):
    """A widget that passes its scene on to whoever is connected to ``mrmlSceneChanged``."""

    mrmlSceneChanged = QtCore.Signal(object)
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        """Take a scene, or None."""
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed()
            self.mrmlSceneChanged.emit(scene)

    def _scene_changed(self) -> None:
        """React to another scene; for our subclasses."""


@stands_for("slicer.qMRMLWidget")
class qMRMLWidget(qSlicerWidget):
    """The top widget of a module's .ui file."""

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene
