"""One function per file type: read a file into the scene by the module logic that knows how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer
import vtk

from DicomWorkbenchLib.headless.modules import ModuleManager

# Bits of vtkSlicerVolumesLogic::LoadingOptions
_VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}

Properties = Mapping[str, Any]


class Readers:
    """Reads nodes of every kind; returns the node (a list for markups), None if the file is not of that kind."""

    def __init__(self, scene: Any, application_logic: Any, modules: ModuleManager) -> None:
        self._scene = scene
        self._application_logic = application_logic
        self._modules = modules
        self._by_kind = {
            "VolumeFile": self._load_volume,
            "SegmentationFile": self._load_segmentation,
            "MarkupsFile": self._load_markups,
            "ModelFile": self._load_model,
            "TableFile": self._load_table,
            "TextFile": self._load_text,
            "TransformFile": self._load_transform,
            "ColorTableFile": self._load_colors,
            "SequenceFile": self._load_sequence,
        }

    def __contains__(self, kind: str) -> bool:
        return kind in self._by_kind

    def read(self, kind: str, path: str, name: str, properties: Properties, messages: Any) -> list[Any]:
        """Return the nodes read from ``path``, an empty list if it is not of this kind."""
        nodes = self._by_kind[kind](path, name, properties, messages)
        return [node for node in (nodes if isinstance(nodes, list) else [nodes]) if node is not None]

    def _load_volume(self, path: str, name: str, properties: Properties, messages: Any) -> Any:
        options = sum(bit for option, bit in _VOLUME_OPTIONS.items() if properties.get(option))
        files = vtk.vtkStringArray()
        for file in properties.get("fileNames") or ():
            files.InsertNextValue(str(file))
        node = self._logic("Volumes").AddArchetypeVolume(path, name, options, files, messages)
        if node is not None and properties.get("colorNodeID"):
            node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
        if node is not None and properties.get("show", True):
            selection = self._application_logic.GetSelectionNode()
            kind = "LabelVolume" if node.IsA("vtkMRMLLabelMapVolumeNode") else "Volume"
            getattr(selection, f"SetActive{kind}ID")(node.GetID())
            self._application_logic.PropagateVolumeSelection()
        return node

    def _load_segmentation(self, path: str, name: str, properties: Properties, messages: Any) -> Any:
        colors = self._scene.GetNodeByID(properties["colorNodeID"]) if properties.get("colorNodeID") else None
        opacities = bool(properties.get("autoOpacities", True))
        return self._logic("Segmentations").LoadSegmentationFromFile(path, opacities, name, colors, messages)

    def _load_markups(self, path: str, name: str, properties: Properties, messages: Any) -> Any:
        # Without a name of the caller's the file says what each markup is called.
        ids = self._logic("Markups").LoadMarkups(path, name if properties.get("name") else None, messages)
        return [self._scene.GetNodeByID(node_id) for node_id in ids.split(",")] if ids else None

    def _load_model(self, path: str, _name: str, properties: Properties, messages: Any) -> Any:
        lps = slicer.vtkMRMLStorageNode.CoordinateSystemLPS
        return self._logic("Models").AddModel(path, int(properties.get("coordinateSystem", lps)), messages)

    def _load_table(self, path: str, name: str, _properties: Properties, messages: Any) -> Any:
        return self._logic("Tables").AddTable(path, name, True, "", messages)

    def _load_text(self, path: str, name: str, _properties: Properties, _messages: Any) -> Any:
        node = self._scene.AddNewNodeByClass("vtkMRMLTextNode", self._scene.GenerateUniqueName(name))
        node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)  # a short text has a file only if asked for
        node.AddDefaultStorageNode(path)
        if node.GetStorageNode().ReadData(node):
            return node
        self._scene.RemoveNode(node)
        return None

    def _load_transform(self, path: str, _name: str, _properties: Properties, messages: Any) -> Any:
        return self._logic("Transforms").AddTransform(path, self._scene, messages)

    def _load_colors(self, path: str, name: str, _properties: Properties, messages: Any) -> Any:
        return self._logic("Colors").LoadColorFile(path, name, messages)

    def _load_sequence(self, path: str, _name: str, _properties: Properties, messages: Any) -> Any:
        return self._logic("Sequences").AddSequence(path, messages)

    def _logic(self, module: str) -> Any:
        entry = self._modules.module(module)
        assert entry is not None  # the table in modules.py has every name used above
        return entry.logic()
