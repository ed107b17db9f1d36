"""Stand-ins for the views of tables and of segments."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher, qMRMLWidget

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


@stands_for("slicer.qMRMLSegmentsTableView")
class qMRMLSegmentsTableView(qMRMLWidget):
    """Lists the segments of a segmentation: visibility, colour, name."""

    selectionChanged = QtCore.Signal(object, object)
    segmentAboutToBeModified = QtCore.Signal(str)
    _node: Any = None
    _table: QtWidgets.QTableWidget
    _watcher: Watcher

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher = Watcher(self)
        self._table = QtWidgets.QTableWidget(0, 3)
        self._table.setHorizontalHeaderLabels(["", "", "Name"])
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.selectionBehavior = QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows
        self._table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._table.selectionModel().selectionChanged.connect(self.selectionChanged.emit)

    def segmentationNode(self) -> Any:
        """Return the segmentation, or None."""
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        """Show a segmentation, or nothing."""
        self._watcher.stop()
        self._node = node
        if node is not None:
            segmentation = slicer.vtkSegmentation
            for event in (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified):
                self._watcher.watch(node.GetSegmentation(), event, self._fill)
        self._fill()

    def _ids(self) -> list[str]:
        return list(self._node.GetSegmentation().GetSegmentIDs()) if self._node is not None else []

    def _fill(self) -> None:
        ids = self._ids()
        self._table.rowCount = len(ids)
        for row, segment_id in enumerate(ids):
            segment = self._node.GetSegmentation().GetSegment(segment_id)
            color = QtWidgets.QTableWidgetItem()
            color.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 1, color)
            self._table.setItem(row, 2, QtWidgets.QTableWidgetItem(segment.GetName()))
        self._table.setColumnWidth(0, 24)
        self._table.setColumnWidth(1, 24)

    def tableWidget(self) -> QtWidgets.QTableView:
        """Return the table itself."""
        return self._table

    def segmentIDForRow(self, row: int) -> str:
        """Return the segment of a row."""
        ids = self._ids()
        return ids[row] if 0 <= row < len(ids) else ""

    def rowForSegmentID(self, segment_id: str) -> int:
        """Return the row of a segment, -1 if there is none."""
        ids = self._ids()
        return ids.index(segment_id) if segment_id in ids else -1

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        """Return the selected segments."""
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return tuple(self._ids()[row] for row in rows)

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        """Select segments."""
        flags = QtCore.QItemSelectionModel.SelectionFlag
        self._table.clearSelection()
        for segment_id in segment_ids:
            index = self._table.model().index(self.rowForSegmentID(segment_id), 0)
            self._table.selectionModel().select(index, flags.Select | flags.Rows)

    def clearSelection(self) -> None:
        """Select nothing."""
        self._table.clearSelection()

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        """Return the segments in the order shown."""
        return tuple(self._ids())

    segmentCount = QtCore.Property(int, lambda self: len(self._ids()))
    readOnly = plain(bool, False)
    selectionMode = plain(int, 3)
    headerVisible = plain(bool, True, lambda self: self._table.horizontalHeader().setVisible(self.headerVisible))
    visibilityColumnVisible = plain(bool, True)
    colorColumnVisible = plain(bool, True)
    opacityColumnVisible = plain(bool, True)
    statusColumnVisible = plain(bool, False)
    layerColumnVisible = plain(bool, False)
    filterBarVisible = plain(bool, False)
    jumpToSelectedSegmentEnabled = plain(bool, False)
    textFilter = plain(str, "")


def _setter(name: str) -> Any:
    def assign(self: Any, value: Any) -> None:
        setattr(self, name, value)

    return assign


for _name in (
    *("readOnly", "selectionMode", "headerVisible", "visibilityColumnVisible", "colorColumnVisible", "textFilter"),
    *("opacityColumnVisible", "statusColumnVisible", "layerColumnVisible", "filterBarVisible"),
    "jumpToSelectedSegmentEnabled",
):
    setattr(qMRMLSegmentsTableView, f"set{_name[0].upper()}{_name[1:]}", _setter(_name))
