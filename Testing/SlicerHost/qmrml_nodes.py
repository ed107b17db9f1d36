"""Stand-ins for the widgets that choose nodes of the scene."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher

_CREATE = "::create"
_Adjust = QtWidgets.QComboBox.SizeAdjustPolicy


def _refill(self: Any) -> None:
    self._refill()


@stands_for("slicer.qMRMLNodeComboBox")
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses a node of given classes and follows the scene."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    _scene: Any = None
    _box: QtWidgets.QComboBox
    _watcher: Watcher
    _name_watcher: Watcher
    _current_id: str = ""
    _attributes: dict[tuple[str, str], str | None]
    _labels: dict[str, str]
    _user_actions: list[Any]

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher, self._name_watcher = Watcher(self), Watcher(self)
        self._attributes, self._labels, self._user_actions = {}, {}, []
        self._box = QtWidgets.QComboBox()
        self._box.sizeAdjustPolicy = _Adjust.AdjustToMinimumContentsLengthWithIcon
        self._box.minimumContentsLength = 6
        self._box.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)

    # ---- the scene -----------------------------------------------------------------------------------------------

    def setMRMLScene(self, scene: Any) -> None:
        """Follow a scene, or none."""
        self._watcher.stop()
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndCloseEvent)
            for event in (*events, scene.EndBatchProcessEvent):
                self._watcher.watch(scene, event, self._refill)
        self._refill()

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        every = (self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes()))
        return [node for node in every if self._fits(node)]

    def _fits(self, node: Any) -> bool:
        classes = self.nodeTypes
        is_wanted = (
            any(node.IsA(name) for name in classes) if self.showChildNodeTypes else node.GetClassName() in classes
        )
        is_wanted = is_wanted and not any(node.IsA(name) for name in self.hideChildNodeTypes)
        return is_wanted and (self.showHidden or not node.GetHideFromEditors()) and self._has_attributes(node)

    def _has_attributes(self, node: Any) -> bool:
        wanted = [(name, value) for (kind, name), value in self._attributes.items() if node.IsA(kind)]
        return all(
            node.GetAttribute(name) == value if value is not None else node.GetAttribute(name) is not None
            for name, value in wanted
        )

    def _refill(self) -> None:
        """Show the nodes as they are now; keep the choice where its node is still there."""
        if self._scene is not None and (self._scene.IsBatchProcessing() or self._scene.IsClosing()):
            return
        nodes = self._nodes()
        self._name_watcher.stop()
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
            self._name_watcher.watch(node, vtk.vtkCommand.ModifiedEvent, self._rename)
        if self.addEnabled:
            for kind in self.nodeTypes:
                self._box.addItem(f"Create new {self.nodeTypeLabel(kind)}", f"{_CREATE}{kind}")
        ids = [node.GetID() for node in nodes]
        fallback = "" if self.noneEnabled or not ids else ids[0]
        self._choose(self._current_id if self._current_id in ids else fallback)

    def _rename(self) -> None:
        for index in range(self._box.count):
            node = self._node(self._box.itemData(index))
            if node is not None and node.GetName() != self._box.itemText(index):
                self._box.setItemText(index, node.GetName())
                self.currentNodeRenamed.emit(node.GetName())

    def _node(self, node_id: str) -> Any:
        known = self._scene is not None and node_id and not node_id.startswith(_CREATE)
        return self._scene.GetNodeByID(node_id) if known else None

    # ---- the choice ----------------------------------------------------------------------------------------------

    def _choose(self, node_id: str) -> None:
        index = self._box.findData(node_id)
        self._box.setCurrentIndex(index)
        chosen = node_id if index >= 0 else ""
        if chosen != self._current_id:
            self._current_id = chosen
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(chosen)

    def _activated(self, index: int) -> None:
        data = self._box.itemData(index)
        if data.startswith(_CREATE):
            self._choose(self._current_id)
            self.nodeAddedByUserAction.emit(self.addNode(data.removeprefix(_CREATE)))
        else:
            self._choose(data)
            self.nodeActivated.emit(self.currentNode())

    def currentNode(self) -> Any:
        """Return the chosen node, or None."""
        return self._node(self._current_id)

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node, or None."""
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        """Choose a node by its id; one that is not offered clears the choice."""
        self._choose(node_id or "")

    def setCurrentNodeIndex(self, index: int) -> None:
        """Choose the n-th node."""
        self.setCurrentNode(self._nodes()[index])

    def nodeFromIndex(self, index: int) -> Any:
        """Return the n-th node."""
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def nodeCount(self) -> int:
        """Return how many nodes are offered."""
        return len(self._nodes())

    # ---- what the menu does --------------------------------------------------------------------------------------

    def addNode(self, kind: str | None = None) -> Any:
        """Add a node as the menu entry "Create new" does."""
        kind = kind or self.nodeTypes[0]
        base = self.baseName or self.nodeTypeLabel(kind)
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(base))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """Remove the chosen node from the scene."""
        node = self.currentNode()
        if node is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)

    def nodeTypeLabel(self, kind: str) -> str:
        """Return how a class is called in the menu."""
        tag = self._scene.GetTagByClassName(kind) if self._scene is not None else None
        return self._labels.get(kind) or tag or kind.removeprefix("vtkMRML").removesuffix("Node")

    def setNodeTypeLabel(self, label: str, kind: str) -> None:
        """Say how a class is called in the menu."""
        self._labels[kind] = label
        self._refill()

    def addAttribute(self, kind: str, name: str, value: Any = None) -> None:
        """Offer only nodes with this attribute."""
        self._attributes[kind, name] = value
        self._refill()

    def removeAttribute(self, kind: str, name: str) -> None:
        """Forget a filter."""
        self._attributes.pop((kind, name), None)
        self._refill()

    def addMenuAction(self, action: Any) -> None:
        """Keep an action that Slicer shows in the menu."""
        self._user_actions.append(action)

    nodeTypes = plain("QStringList", [], _refill)
    hideChildNodeTypes = plain("QStringList", [], _refill)
    noneEnabled = plain(bool, False, _refill)
    noneDisplay = plain(str, "None", _refill)
    addEnabled = plain(bool, True, _refill)
    removeEnabled = plain(bool, True)
    renameEnabled = plain(bool, False)
    editEnabled = plain(bool, False)
    showHidden = plain(bool, False, _refill)
    showChildNodeTypes = plain(bool, True, _refill)
    selectNodeUponCreation = plain(bool, True)
    baseName = plain(str, "")
    interactionNodeSingletonTag = plain(str, "")
    sizeAdjustPolicy = plain(object, _Adjust.AdjustToMinimumContentsLengthWithIcon)
    currentNodeID = QtCore.Property(str, lambda self: self._current_id, setCurrentNodeID)
    currentNodeId = QtCore.Property(str, lambda self: self._current_id, setCurrentNodeID)


@stands_for("slicer.qMRMLCheckableNodeComboBox")
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Chooses several nodes by check marks."""

    checkedNodesChanged = QtCore.Signal()
    _checked: set[str]

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._checked = set()
        super().__init__(parent)

    def checkedNodes(self) -> tuple[Any, ...]:
        """Return the checked nodes."""
        return tuple(node for node in self._nodes() if node.GetID() in self._checked)

    def uncheckedNodes(self) -> tuple[Any, ...]:
        """Return the nodes that are not checked."""
        return tuple(node for node in self._nodes() if node.GetID() not in self._checked)

    def checkState(self, node: Any) -> QtCore.Qt.CheckState:
        """Return whether a node is checked."""
        state = QtCore.Qt.CheckState
        return state.Checked if node.GetID() in self._checked else state.Unchecked

    def setCheckState(self, node: Any, state: QtCore.Qt.CheckState) -> None:
        """Check or clear a node."""
        if state == QtCore.Qt.CheckState.Checked:
            self.check(node)
        else:
            self.uncheck(node)

    def check(self, node: Any) -> None:
        """Check a node."""
        self._checked.add(node.GetID())
        self.checkedNodesChanged.emit()

    def uncheck(self, node: Any) -> None:
        """Clear a node."""
        self._checked.discard(node.GetID())
        self.checkedNodesChanged.emit()

    def allChecked(self) -> bool:
        """Say whether every node is checked."""
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        """Say whether no node is checked."""
        return not self.checkedNodes()
