"""Stand-in for the 3D view: it keeps its nodes and draws nothing but its background."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain


@stands_for("threeDWidget.threeDView()")
class ThreeDView(QtWidgets.QWidget):
    """Keeps a view node and a camera; draws nothing but its background."""

    _node: Any = None
    _camera: Any = None

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._node

    def cameraNode(self) -> Any:
        """Return the camera."""
        return self._camera

    def resetFocalPoint(self) -> None:
        """Look at the middle of what is shown."""
        bounds = [0.0] * 6
        if slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode"):
            _bounds_of_scene(bounds)
        self._camera.SetFocalPoint(*((bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)))

    def resetCamera(self, *_: Any) -> None:
        """Show everything."""
        self.resetFocalPoint()

    def rotateToViewAxis(self, axis: int) -> None:
        """Look along an axis."""
        self._camera.RotateTo(axis)

    def scheduleRender(self) -> None:
        """Draw when there is time."""
        self.update()

    def forceRender(self) -> None:
        """Draw now."""
        self.repaint()

    def setBackgroundColor(self, color: QtGui.QColor) -> None:
        """Colour the background."""
        self.backgroundColor = color

    def setBackgroundColor2(self, color: QtGui.QColor) -> None:
        """Colour the lower background."""
        self.backgroundColor2 = color

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the background."""
        QtGui.QPainter(self).fillRect(self.rect, self.backgroundColor)

    backgroundColor = plain(object, QtGui.QColor(193, 195, 232))
    backgroundColor2 = plain(object, QtGui.QColor(116, 120, 190))


def _bounds_of_scene(bounds: list[float]) -> None:
    nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
    every = []
    for node in nodes:
        own = [0.0] * 6
        node.GetRASBounds(own)
        if own[0] <= own[1]:
            every.append(own)
    for axis in range(3):
        bounds[2 * axis] = min((own[2 * axis] for own in every), default=0.0)
        bounds[2 * axis + 1] = max((own[2 * axis + 1] for own in every), default=0.0)


@stands_for("layoutManager.threeDWidget(0)")
class ThreeDWidget(QtWidgets.QWidget):
    """A 3D view with its controller."""

    mrmlSceneChanged = QtCore.Signal(object)
    _view: ThreeDView
    _controller: QtWidgets.QWidget

    def __init__(self, node: Any, camera: Any) -> None:
        super().__init__()
        self._view, self._controller = ThreeDView(self), QtWidgets.QWidget(self)
        self._view._node, self._view._camera = node, camera

    def threeDView(self) -> ThreeDView:
        """Return the view."""
        return self._view

    def threeDController(self) -> QtWidgets.QWidget:
        """Return the bar above it."""
        return self._controller

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._view.mrmlViewNode()
