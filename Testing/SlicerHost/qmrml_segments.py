"""Stand-ins for the widgets that choose and list segments."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher, qMRMLWidget
from SlicerHost.qmrml_nodes import qMRMLNodeComboBox


def _watch_segments(watcher: Watcher, node: Any, react: Any) -> None:
    """Call ``react()`` when segments come, go or change."""
    kinds = slicer.vtkSegmentation
    for event in (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified):
        watcher.watch(node.GetSegmentation(), event, react)


@stands_for("slicer.qMRMLSegmentSelectorWidget")
class qMRMLSegmentSelectorWidget(QtWidgets.QWidget):
    """Chooses a segmentation and one or several of its segments."""

    currentNodeChanged = QtCore.Signal(object)
    currentSegmentChanged = QtCore.Signal(str)
    segmentSelectionChanged = QtCore.Signal("QStringList")
    mrmlSceneChanged = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)
    _node_box: qMRMLNodeComboBox
    _segment_box: QtWidgets.QComboBox
    _watcher: Watcher
    _selected: tuple[str, ...] = ()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher = Watcher(self)
        self._node_box = qMRMLNodeComboBox()
        self._node_box.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._node_box.addEnabled = False
        self._segment_box = QtWidgets.QComboBox()
        layout = QtWidgets.QBoxLayout(QtWidgets.QBoxLayout.Direction.TopToBottom, self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._node_box)
        layout.addWidget(self._segment_box)
        self._node_box.currentNodeChanged.connect(self._node_changed)
        self._segment_box.currentIndexChanged.connect(self._segment_changed)

    def _node_changed(self, node: Any) -> None:
        self._watcher.stop()
        if node is not None:
            _watch_segments(self._watcher, node, self._refill)
        self._refill()
        self.currentNodeChanged.emit(node)

    def _refill(self) -> None:
        chosen = self.currentSegmentID()
        node = self.currentNode()
        ids = node.GetSegmentation().GetSegmentIDs() if node is not None else ()
        blocked = self._segment_box.blockSignals(True)
        self._segment_box.clear()
        if self.noneEnabled:
            self._segment_box.addItem("None", "")
        for segment_id in ids:
            self._segment_box.addItem(node.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        self._segment_box.setCurrentIndex(max(self._segment_box.findData(chosen), 0 if self._segment_box.count else -1))
        self._segment_box.blockSignals(blocked)
        if self.currentSegmentID() != chosen:
            self._segment_changed()

    def _segment_changed(self) -> None:
        self.currentSegmentChanged.emit(self.currentSegmentID())
        self.segmentSelectionChanged.emit(list(self.selectedSegmentIDs()))

    def setMRMLScene(self, scene: Any) -> None:
        """Follow a scene."""
        self._node_box.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._node_box.mrmlScene()

    def currentNode(self) -> Any:
        """Return the segmentation, or None."""
        return self._node_box.currentNode()

    def currentNodeID(self) -> str:
        """Return the segmentation's id."""
        return str(self._node_box.currentNodeID)

    def setCurrentNode(self, node: Any) -> None:
        """Choose a segmentation."""
        self._node_box.setCurrentNode(node)

    def setCurrentNodeID(self, node_id: str) -> None:
        """Choose a segmentation by its id."""
        self._node_box.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        """Return the chosen segment's id, or ""."""
        return self._segment_box.currentData or ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Choose a segment."""
        self._segment_box.setCurrentIndex(self._segment_box.findData(segment_id))

    def segmentIDs(self) -> tuple[str, ...]:
        """Return the ids of all segments."""
        node = self.currentNode()
        return tuple(node.GetSegmentation().GetSegmentIDs()) if node is not None else ()

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        """Return the chosen segments' ids."""
        if self.multiSelection:
            return self._selected
        return (self.currentSegmentID(),) if self.currentSegmentID() else ()

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        """Choose several segments."""
        self._selected = tuple(segment_ids)
        self.segmentSelectionChanged.emit(list(segment_ids))

    def _turn(self) -> None:
        direction = QtWidgets.QBoxLayout.Direction
        self.layout().setDirection(direction.LeftToRight if self.horizontalLayout else direction.TopToBottom)

    horizontalLayout = plain(bool, False, _turn)
    multiSelection = plain(bool, False)
    noneEnabled = plain(bool, False, lambda self: self._refill())
    editEnabled = plain(bool, False)
    selectNodeUponCreation = plain(bool, True)
    segmentationNodeSelectorVisible = QtCore.Property(
        bool, lambda self: not self._node_box.isHidden(), lambda self, shown: self._node_box.setVisible(shown)
    )


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
            _watch_segments(self._watcher, node, self._fill)
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
