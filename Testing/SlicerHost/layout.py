"""Stand-in for the views: slice views that really reslice and show their image, 3D views that keep their nodes."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from SlicerHost.answers import user
from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain

_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_SIZE = (256, 256)  # pixels of every slice view
_FOUR_UP = 3  # vtkMRMLLayoutNode.SlicerLayoutFourUpView


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
        return QtCore.QSize(*_SIZE)

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


@stands_for("slicer.app.layoutManager()")
class LayoutManager(QtCore.QObject):
    """Three slice views and a 3D view."""

    layoutChanged = QtCore.Signal(int)
    _scene: Any
    _slices: dict[str, SliceWidget]
    _three_d: ThreeDWidget

    def __init__(self, scene: Any, application_logic: Any) -> None:
        super().__init__()
        self._scene = scene
        self._slices = {
            name: SliceWidget(_slice_logic(scene, application_logic, name, orientation))
            for name, orientation in _VIEWS.items()
        }
        camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
        self._three_d = ThreeDWidget(_layout_node(scene, "vtkMRMLViewNode", "1"), camera)

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of the slice views."""
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        """Return a slice view by its name, or None."""
        return self._slices.get(name)

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        """Return a 3D view, or None."""
        return self._three_d if index == 0 else None

    def mrmlSliceLogics(self) -> Any:
        """Return the slice logics as a VTK collection."""
        return slicer.app.applicationLogic().GetSliceLogics()

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def resetSliceViews(self) -> None:
        """Fit the volumes into all slice views."""
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Show everything in the 3D view."""
        self._three_d.threeDView().resetFocalPoint()

    def pauseRender(self) -> None:
        """Stop drawing."""

    def resumeRender(self) -> None:
        """Draw again."""

    def setRenderPaused(self, pause: bool) -> None:
        """Stop drawing, or go on."""

    layout = plain(int, _FOUR_UP, lambda self: self.layoutChanged.emit(self.layout))
    threeDViewCount = QtCore.Property(int, lambda _self: 1)
    tableViewCount = QtCore.Property(int, lambda _self: 0)
    plotViewCount = QtCore.Property(int, lambda _self: 0)


def _layout_node(scene: Any, class_name: str, name: str) -> Any:
    node = scene.CreateNodeByClass(class_name)  # the scene's default node knows the orientations
    node.UnRegister(None)
    node.SetName(name)
    node.SetLayoutName(name)
    node.SetSingletonTag(name)
    node.SetMappedInLayout(1)
    return scene.AddNode(node)


def _slice_logic(scene: Any, application_logic: Any, name: str, orientation: str) -> Any:
    node = _layout_node(scene, "vtkMRMLSliceNode", name)
    node.SetOrientation(orientation)
    node.SetDimensions(*_SIZE, 1)
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application_logic)
    logic.SetMRMLScene(scene)
    application_logic.GetSliceLogics().AddItem(logic)
    logic.SetSliceNode(node)
    return logic


@stands_for("slicer.qSlicerModuleSelectorToolBar")
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """Where the user changes to another module."""

    moduleSelected = QtCore.Signal(str)

    def selectModule(self, name: str) -> None:
        """Change to another module: recorded."""
        user.messages.append(("module", name))
        self.selectedModule = name
        self.moduleSelected.emit(name)

    selectedModule = plain(str, "")


@stands_for("slicer.util.mainWindow()")
class MainWindow(QtWidgets.QMainWindow):
    """The main window: a status bar and the module selector."""

    _selector: qSlicerModuleSelectorToolBar

    def __init__(self) -> None:
        super().__init__()
        self.objectName = "qSlicerMainWindow"
        self._selector = qSlicerModuleSelectorToolBar(self)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        """Return where the user changes to another module."""
        return self._selector
