"""Subject hierarchy items for data nodes: in Slicer a Qt plugin logic makes them, here a scene observer does."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

# What Slicer's subject hierarchy plugins take in.
DATA_NODE_CLASSES = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLSequenceNode",
)


class SubjectHierarchyObserver:
    """Keeps one subject hierarchy item per visible data node of a scene."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        # The subject hierarchy node must exist before the first data node is added.
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._tags = [
            scene.AddObserver(scene.NodeAddedEvent, _with_node(self._on_node_added)),
            scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _with_node(self._on_node_removed)),
            scene.AddObserver(scene.EndImportEvent, self._on_import_ended),
        ]

    def close(self) -> None:
        """Stop observing."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags.clear()

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _on_node_added(self, node: Any) -> None:
        # While a scene is read its own hierarchy has not been merged yet: _on_import_ended fills what it lacks.
        if not self._scene.IsImporting() and _belongs_into_hierarchy(node):
            self._add_item(self._hierarchy(), node)

    def _on_node_removed(self, node: Any) -> None:
        # A closing scene takes its hierarchy along; asking for it would make a new one in the middle of that.
        if self._scene.IsClosing() or not _belongs_into_hierarchy(node):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)  # neither its data node (going anyway) nor its children

    def _on_import_ended(self, *_: object) -> None:
        hierarchy = self._hierarchy()
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            if _belongs_into_hierarchy(node):
                self._add_item(hierarchy, node)

    @staticmethod
    def _add_item(hierarchy: Any, node: Any) -> None:
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _belongs_into_hierarchy(node: Any) -> bool:
    return not node.GetHideFromEditors() and any(node.IsA(name) for name in DATA_NODE_CLASSES)


def _with_node(handler: Any) -> Any:
    """Make a VTK observer of a function that takes the node the event is about."""

    def observer(_caller: Any, _event: str, node: Any) -> None:
        if node is not None:
            handler(node)

    return vtk.calldata_type(vtk.VTK_OBJECT)(observer)
