"""Stand-in for the views: slice views that really reslice and show their image, 3D views that keep their nodes."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from SlicerHost.answers import user
from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_plots import qMRMLPlotView
from SlicerHost.slice_views import SIZE, SliceWidget
from SlicerHost.three_d_views import ThreeDWidget

_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_FOUR_UP = 3  # vtkMRMLLayoutNode.SlicerLayoutFourUpView


@stands_for("slicer.qMRMLPlotWidget")
class qMRMLPlotWidget(QtWidgets.QWidget):
    """A plot view of the layout."""

    _view: qMRMLPlotView
    _node: Any = None

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._view = qMRMLPlotView(self)
        self._view.setMRMLPlotViewNode(node)
        self._node = node

    def plotView(self) -> qMRMLPlotView:
        """Return the plot view without its frame."""
        return self._view

    def mrmlPlotViewNode(self) -> Any:
        """Return the node of the view."""
        return self._node


@stands_for("slicer.app.layoutManager()")
class LayoutManager(QtCore.QObject):
    """Three slice views and a 3D view."""

    layoutChanged = QtCore.Signal(int)
    _scene: Any
    _slices: dict[str, SliceWidget]
    _three_d: ThreeDWidget
    _plot: qMRMLPlotWidget

    def __init__(self, scene: Any, application_logic: Any) -> None:
        super().__init__()
        self._scene = scene
        self._slices = {
            name: SliceWidget(_slice_logic(scene, application_logic, name, orientation))
            for name, orientation in _VIEWS.items()
        }
        camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
        self._three_d = ThreeDWidget(_layout_node(scene, "vtkMRMLViewNode", "1"), camera)
        self._plot = qMRMLPlotWidget(_layout_node(scene, "vtkMRMLPlotViewNode", "PlotView1"))

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of the slice views."""
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        """Return a slice view by its name, or None."""
        return self._slices.get(name)

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        """Return a 3D view, or None."""
        return self._three_d if index == 0 else None

    def plotWidget(self, index: int) -> qMRMLPlotWidget | None:
        """Return a plot view with its frame, or None."""
        return self._plot if index == 0 else None

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
    plotViewCount = QtCore.Property(int, lambda _self: 1)


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
    node.SetDimensions(*SIZE, 1)
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
