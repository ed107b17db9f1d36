"""Stand-ins for the views of tables and of segments."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher

_Role = QtCore.Qt.ItemDataRole


@stands_for("slicer.qMRMLTableView")
class qMRMLTableView(QtWidgets.QTableView):
    """Shows a vtkMRMLTableNode and follows it; numbers sort as numbers."""

    mrmlSceneChanged = QtCore.Signal(object)
    _scene: Any = None
    _node: Any = None
    _rows: QtGui.QStandardItemModel
    _sorted: QtCore.QSortFilterProxyModel
    _watcher: Watcher

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher = Watcher(self)
        self._rows = QtGui.QStandardItemModel(self)
        self._sorted = QtCore.QSortFilterProxyModel(self)
        self._sorted.setSortRole(_Role.EditRole)
        self._sorted.setSourceModel(self._rows)
        self.setModel(self._sorted)

    def setMRMLScene(self, scene: Any) -> None:
        """Take a scene; the table node is forgotten with it."""
        self._scene = scene
        self._watcher.stop()
        if scene is not None:
            self._watcher.watch(scene, scene.EndCloseEvent, lambda: self.setMRMLTableNode(None))
        self.setMRMLTableNode(None)
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def mrmlTableNode(self) -> Any:
        """Return the table node, or None."""
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        """Show a table node, or nothing."""
        self._watcher.stop()
        self._node = node
        if node is not None:
            self._watcher.watch(node, vtk.vtkCommand.ModifiedEvent, self._fill)
            self._watcher.watch(self._scene, slicer.vtkMRMLScene.EndCloseEvent, lambda: self.setMRMLTableNode(None))
        self._fill()

    def tableModel(self) -> QtCore.QAbstractItemModel:
        """Return the model with the cells."""
        return self._rows

    def sortFilterProxyModel(self) -> QtCore.QSortFilterProxyModel:
        """Return the model that sorts them."""
        return self._sorted

    def _fill(self) -> None:
        self._rows.clear()
        table = self._node.GetTable() if self._node is not None else vtk.vtkTable()
        columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
        self._rows.setHorizontalHeaderLabels([column.GetName() or "" for column in columns])
        for row in range(table.GetNumberOfRows()):
            self._rows.appendRow([self._item(column, row) for column in columns])
        self.resizeColumnsToContents()

    def _item(self, column: Any, row: int) -> QtGui.QStandardItem:
        item = QtGui.QStandardItem()
        value = column.GetVariantValue(row)
        item.setData(value.ToDouble() if value.IsNumeric() else value.ToString(), _Role.EditRole)
        if value.IsNumeric():
            item.setText(f"{value.ToDouble():g}")
            item.setTextAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        item.setEditable(not self._node.GetLocked())
        return item

    firstRowLocked = plain(bool, False)
    firstColumnLocked = plain(bool, False)
    transposed = plain(bool, False)
