"""Stand-ins for the slice views: they really reslice, and show the image."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from SlicerHost.faces import stands_for

SIZE = (256, 256)  # pixels of every slice view


@stands_for("sliceWidget.sliceView()")
class SliceView(QtWidgets.QWidget):
    """Shows what the slice logic made of the volumes."""

    resized = QtCore.Signal(object)
    _logic: Any = None

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._logic.GetSliceNode()

    def scheduleRender(self) -> None:
        """Draw when there is time."""
        self.update()

    def forceRender(self) -> None:
        """Draw now."""
        self.repaint()

    def sizeHint(self) -> QtCore.QSize:
        """Return the size of the resliced image."""
        return QtCore.QSize(*SIZE)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the resliced image."""
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, QtCore.Qt.GlobalColor.black)
        image = _image_of(self._logic)
        if image is not None:
            painter.drawImage(self.rect, image)


def _image_of(logic: Any) -> QtGui.QImage | None:
    port = logic.GetImageDataConnection()
    if port is None:
        return None
    port.GetProducer().Update()
    data = port.GetProducer().GetOutputDataObject(port.GetIndex())
    width, height, _ = data.GetDimensions()
    scalars = data.GetPointData().GetScalars()
    if scalars is None or width * height == 0:
        return None
    pixels = vtk_to_numpy(scalars).reshape(height, width, -1)[::-1, :, :3].copy()
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


@stands_for("sliceWidget.sliceController()")
class SliceController(QtWidgets.QWidget):
    """The bar above a slice view."""

    _logic: Any = None
    _slider: Any = None

    def sliceLogic(self) -> Any:
        """Return the slice logic."""
        return self._logic

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        """Return which volumes are shown."""
        return self._logic.GetSliceCompositeNode()

    def setSliceOffsetValue(self, offset: float) -> None:
        """Move the slice along its normal, mm."""
        self._logic.SetSliceOffset(offset)

    def fitSliceToBackground(self) -> None:
        """Fit the volume into the view."""
        self._logic.FitSliceToBackground()

    def setSliceLink(self, linked: bool) -> None:
        """Move all slice views together."""
        self._logic.GetSliceCompositeNode().SetLinkedControl(linked)

    def setSliceVisible(self, visible: bool) -> None:
        """Show the slice in 3D."""
        self.mrmlSliceNode().SetSliceVisible(visible)


@stands_for("layoutManager.sliceWidget('Red')")
class SliceWidget(QtWidgets.QWidget):
    """A slice view with its controller."""

    mrmlSceneChanged = QtCore.Signal(object)
    _logic: Any = None
    _view: SliceView
    _controller: SliceController

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._logic = logic
        self._view, self._controller = SliceView(self), SliceController(self)
        self._view._logic = self._controller._logic = logic
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._controller)
        layout.addWidget(self._view, 1)

    def sliceView(self) -> SliceView:
        """Return the view."""
        return self._view

    def sliceController(self) -> SliceController:
        """Return the bar above it."""
        return self._controller

    def sliceLogic(self) -> Any:
        """Return the slice logic."""
        return self._logic

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        """Return which volumes are shown."""
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """Fit the volume into the view."""
        self._logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        """Show "Axial", "Sagittal" or "Coronal" slices."""
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation)
    sliceViewName = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())
