"""Stand-ins for the widgets that place and list markups."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher, qSlicerWidget


def _interaction_node() -> Any:
    return slicer.app.applicationLogic().GetInteractionNode()


def _selection_node() -> Any:
    return slicer.app.applicationLogic().GetSelectionNode()


@stands_for("slicer.qSlicerMarkupsPlaceWidget")
class qSlicerMarkupsPlaceWidget(qSlicerWidget):
    """Starts and stops placing points of a markups node, and deletes them."""

    ShowPlaceMultipleMarkupsOption = 0
    HidePlaceMultipleMarkupsOption = 1
    ForcePlaceSingleMarkup = 2
    ForcePlaceMultipleMarkups = 3

    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = QtCore.Signal(bool)
    _node: Any = None
    _place: QtWidgets.QToolButton
    _delete: QtWidgets.QToolButton
    _watcher: Watcher
    _was_placing = False

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher = Watcher(self)
        self._place, self._delete = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self._place.text, self._place.checkable = "Place", True
        self._delete.text = "Delete"
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._place)
        layout.addWidget(self._delete)
        layout.addStretch()
        self._place.clicked.connect(self.setPlaceModeEnabled)
        self._delete.clicked.connect(lambda: self.deleteLastPoint())
        self._show()

    def _scene_changed(self) -> None:
        self._watcher.stop()
        node = _interaction_node() if self._scene is not None else None
        if node is not None:
            self._watcher.watch(node, node.InteractionModeChangedEvent, self._show)
            self._watcher.watch(self._scene, self._scene.EndCloseEvent, lambda: self.setCurrentNode(None))
        self._show()

    def _is_active(self) -> bool:
        selection = _selection_node() if self._node is not None else None
        return selection is not None and selection.GetActivePlaceNodeID() == self._node.GetID()

    def _is_placing(self) -> bool:
        interaction = _interaction_node()
        return self._is_active() and interaction.GetCurrentInteractionMode() == interaction.Place

    def _show(self) -> None:
        self._place.enabled = self._delete.enabled = self._node is not None
        placing = self._is_placing()
        self._place.checked = placing
        if placing != self._was_placing:
            self._was_placing = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)
            self.activeMarkupsFiducialPlaceModeChanged.emit(placing)

    def currentNode(self) -> Any:
        """Return the markups node, or None."""
        return self._node

    def currentMarkupsNode(self) -> Any:
        """Return the markups node, or None."""
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        """Choose the markups node."""
        self._node = node
        self._show()

    def setCurrentNodeActive(self, active: bool) -> None:
        """Make the node the one that clicks in the views add points to."""
        if self._node is not None:
            _selection_node().SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            _selection_node().SetActivePlaceNodeID(self._node.GetID() if active else None)
        self._show()

    def setPlaceModeEnabled(self, placing: bool) -> None:
        """Start or stop placing."""
        interaction = _interaction_node()
        if placing:
            self.setCurrentNodeActive(True)
            persistent = self.placeModePersistency or self.placeMultipleMarkups == self.ForcePlaceMultipleMarkups
            interaction.SetPlaceModePersistence(1 if persistent else 0)
            interaction.SetCurrentInteractionMode(interaction.Place)
        elif self._is_placing():
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self._show()

    def setPlaceModePersistency(self, persistent: bool) -> None:
        """Stay in place mode after a point."""
        self.placeModePersistency = persistent

    def setPlaceMultipleMarkups(self, kind: int) -> None:
        """Say whether several points can be placed in a row."""
        self.placeMultipleMarkups = kind

    def setButtonsVisible(self, visible: bool) -> None:
        """Show or hide the buttons."""
        self.buttonsVisible = visible

    def setDeleteAllControlPointsOptionVisible(self, visible: bool) -> None:
        """Offer to delete all points."""
        self.deleteAllControlPointsOptionVisible = visible

    deleteAllMarkupsOptionVisible = plain(bool, True)

    def setDeleteAllMarkupsOptionVisible(self, visible: bool) -> None:
        """Offer to delete all points."""
        self.deleteAllMarkupsOptionVisible = visible

    def setNodeColor(self, color: QtGui.QColor) -> None:
        """Colour the node."""
        self.nodeColor = color

    def setDefaultNodeColor(self, color: QtGui.QColor) -> None:
        """Colour new nodes."""
        self.defaultNodeColor = color

    def deleteLastPoint(self) -> None:
        """Delete the last point."""
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self) -> None:
        """Delete every point."""
        if self._node is not None:
            self._node.RemoveAllControlPoints()

    def placeButton(self) -> QtWidgets.QToolButton:
        """Return the button that starts placing."""
        return self._place

    def deleteButton(self) -> QtWidgets.QToolButton:
        """Return the button that deletes."""
        return self._delete

    def interactionNode(self) -> Any:
        """Return the scene's interaction node."""
        return _interaction_node()

    def selectionNode(self) -> Any:
        """Return the scene's selection node."""
        return _selection_node()

    def _show_buttons(self) -> None:
        self._place.visible = self._delete.visible = self.buttonsVisible

    placeModeEnabled = QtCore.Property(bool, _is_placing, setPlaceModeEnabled)
    currentNodeActive = QtCore.Property(bool, _is_active, setCurrentNodeActive)
    buttonsVisible = plain(bool, True, _show_buttons)
    placeModePersistency = plain(bool, False)
    placeMultipleMarkups = plain(object, 0)
    deleteAllControlPointsOptionVisible = plain(bool, True)
    unsetLastControlPointOptionVisible = plain(bool, False)
    unsetAllControlPointsOptionVisible = plain(bool, False)
    nodeColor = plain(object, QtGui.QColor())
    defaultNodeColor = plain(object, QtGui.QColor())
