"""Stand-in for the widget that lists the points of a markups node."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher, qSlicerWidget
from SlicerHost.qmrml_markups import qSlicerMarkupsPlaceWidget
from SlicerHost.qmrml_nodes import qMRMLNodeComboBox


@stands_for("slicer.qSlicerSimpleMarkupsWidget")
class qSlicerSimpleMarkupsWidget(qSlicerWidget):
    """Chooses a point list, places points and lists them."""

    markupsNodeChanged = QtCore.Signal()
    markupsFiducialNodeChanged = QtCore.Signal()
    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = QtCore.Signal(bool)
    currentMarkupsControlPointSelectionChanged = QtCore.Signal(int)
    currentMarkupsFiducialSelectionChanged = QtCore.Signal(int)
    updateFinished = QtCore.Signal()
    _selector: qMRMLNodeComboBox
    _placer: qSlicerMarkupsPlaceWidget
    _table: QtWidgets.QTableWidget
    _watcher: Watcher

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher = Watcher(self)
        self._selector, self._placer = qMRMLNodeComboBox(), qSlicerMarkupsPlaceWidget()
        self._selector.nodeTypes = ["vtkMRMLMarkupsFiducialNode"]
        self._table = QtWidgets.QTableWidget(0, 4)
        self._table.setHorizontalHeaderLabels(["Label", "R", "A", "S"])
        self._table.horizontalHeader().setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self._selector, 1)
        top.addWidget(self._placer)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self._table)
        self._selector.currentNodeChanged.connect(self._node_changed)
        self._placer.activeMarkupsPlaceModeChanged.connect(self.activeMarkupsPlaceModeChanged.emit)
        self._table.currentCellChanged.connect(self._row_changed)

    def _scene_changed(self) -> None:
        self._selector.setMRMLScene(self._scene)
        self._placer.setMRMLScene(self._scene)

    def _node_changed(self, node: Any) -> None:
        self._watcher.stop()
        self._placer.setCurrentNode(node)
        if node is not None:
            kinds = slicer.vtkMRMLMarkupsNode
            for event in (kinds.PointModifiedEvent, kinds.PointAddedEvent, kinds.PointRemovedEvent):
                self._watcher.watch(node, event, self._fill)
            self._watcher.watch(node, vtk.vtkCommand.ModifiedEvent, self._fill)
        self._fill()
        self.markupsNodeChanged.emit()
        self.markupsFiducialNodeChanged.emit()

    def _fill(self) -> None:
        node = self.currentNode()
        self._table.rowCount = node.GetNumberOfControlPoints() if node is not None else 0
        for row in range(self._table.rowCount):
            position = node.GetNthControlPointPositionWorld(row)
            texts = [node.GetNthControlPointLabel(row), *(f"{value:.3f}" for value in position)]
            for column, text in enumerate(texts):
                self._table.setItem(row, column, QtWidgets.QTableWidgetItem(text))
        self.updateFinished.emit()

    def _row_changed(self, row: int) -> None:
        if self.jumpToSliceEnabled and row >= 0 and self.currentNode() is not None:
            slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(self.currentNode().GetID(), row, True)
        self.currentMarkupsControlPointSelectionChanged.emit(row)
        self.currentMarkupsFiducialSelectionChanged.emit(row)

    def currentNode(self) -> Any:
        """Return the point list, or None."""
        return self._selector.currentNode()

    def getCurrentNode(self) -> Any:
        """Return the point list, or None."""
        return self._selector.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        """Choose a point list."""
        self._selector.setCurrentNode(node)

    def setNodeBaseName(self, name: str) -> None:
        """Say how new point lists are called."""
        self._selector.baseName = name

    def setDefaultNodeColor(self, color: QtGui.QColor) -> None:
        """Colour new point lists."""
        self.defaultNodeColor = color

    def setNodeColor(self, color: QtGui.QColor) -> None:
        """Colour the point list."""
        self.nodeColor = color

    def setJumpToSliceEnabled(self, enabled: bool) -> None:
        """Show the place of a point when its row is chosen."""
        self.jumpToSliceEnabled = enabled

    def setEnterPlaceModeOnNodeChange(self, enabled: bool) -> None:
        """Start placing when another list is chosen."""
        self.enterPlaceModeOnNodeChange = enabled

    def setNodeSelectorVisible(self, visible: bool) -> None:
        """Show or hide the choice of the list."""
        self._selector.visible = visible

    def setOptionsVisible(self, visible: bool) -> None:
        """Show or hide the options."""
        self.optionsVisible = visible

    def highlightNthControlPoint(self, row: int) -> None:
        """Select a row."""
        self._table.selectRow(row)

    def markupsPlaceWidget(self) -> qSlicerMarkupsPlaceWidget:
        """Return the place buttons."""
        return self._placer

    def markupsSelectorComboBox(self) -> qMRMLNodeComboBox:
        """Return the choice of the list."""
        return self._selector

    def tableWidget(self) -> QtWidgets.QTableWidget:
        """Return the table."""
        return self._table

    def interactionNode(self) -> Any:
        """Return the scene's interaction node."""
        return self._placer.interactionNode()

    def _selector_shown(self) -> bool:
        return not self._selector.isHidden()

    nodeSelectorVisible = QtCore.Property(bool, _selector_shown, setNodeSelectorVisible)
    jumpToSliceEnabled = plain(bool, False)
    enterPlaceModeOnNodeChange = plain(bool, True)
    optionsVisible = plain(bool, True)
    positionStatusColumnVisible = plain(bool, False)
    viewGroup = plain(int, -1)
    nodeColor = plain(object, QtGui.QColor())
    defaultNodeColor = plain(object, QtGui.QColor())
