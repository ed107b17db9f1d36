"""Stand-in for ``slicer.app.coreIOManager()``: what ``slicer.util.load*``, ``save*`` and ``export*`` go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vtk

from DicomWorkbenchLib.headless.modules import ModuleManager
from DicomWorkbenchLib.headless.readers import Properties, Readers

# Longest ending first; what is not here is tried as a volume, as Slicer does.
_TYPE_OF_ENDING = {
    ".seg.nrrd": "SegmentationFile",
    ".seg.vtm": "SegmentationFile",
    ".seq.nrrd": "SequenceFile",
    ".seq.mrb": "SequenceFile",
    ".mrk.json": "MarkupsFile",
    ".fcsv": "MarkupsFile",
    ".mrml": "SceneFile",
    ".mrb": "SceneFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".obj": "ModelFile",
    ".ply": "ModelFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".txt": "TextFile",
    ".json": "TextFile",
    ".ctbl": "ColorTableFile",
}

_TYPE_OF_CLASS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLTextNode": "TextFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLColorNode": "ColorTableFile",
    "vtkMRMLSequenceNode": "SequenceFile",
    "vtkMRMLVolumeNode": "VolumeFile",
}

# slicer-core can write these but does not list them: the list comes from ITK's registry, which the wheel leaves empty.
_VOLUME_FORMATS = (
    "NRRD (.nrrd)",
    "NRRD (.nhdr)",
    "MetaImage (.mha)",
    "MetaImage (.mhd)",
    "NIfTI (.nii.gz)",
    "NIfTI (.nii)",
)


class CoreIOManager:
    """Reads and writes nodes and scenes by the module logics."""

    def __init__(self, scene: Any, application_logic: Any, modules: ModuleManager) -> None:
        self._scene = scene
        self._application_logic = application_logic
        self._readers = Readers(scene, application_logic, modules)

    # ---- questions -------------------------------------------------------------------------------------------

    def fileType(self, path: str) -> str:
        """Return the file type that ``slicer.util.loadNodeFromFile`` would guess from the name."""
        name = Path(path).name.lower()
        endings = sorted(_TYPE_OF_ENDING, key=len, reverse=True)
        return next((_TYPE_OF_ENDING[ending] for ending in endings if name.endswith(ending)), "VolumeFile")

    def fileWriterFileType(self, node: Any) -> str:
        """Return the file type a node is saved as."""
        return next((kind for name, kind in _TYPE_OF_CLASS.items() if node.IsA(name)), "NoFile")

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        """Return the formats a node can be written in, like ``"NRRD (.nrrd)"``."""
        types = _new_storage(node).GetSupportedWriteFileTypes()
        formats = tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))
        return formats or (_VOLUME_FORMATS if node.IsA("vtkMRMLVolumeNode") else ())

    def extractKnownExtension(self, path: str, node: Any) -> str:
        """Return the longest ending of ``path`` that the node's format knows, with its dot."""
        return str(_new_storage(node).GetSupportedFileExtension(str(path)))

    # ---- reading ---------------------------------------------------------------------------------------------

    def loadNodes(self, kind: str, properties: Properties, loaded: Any = None, messages: Any = None) -> bool:
        """Read one file; put its nodes into the collection ``loaded`` and complaints into ``messages``."""
        path = str(properties["fileName"])
        if not Path(path).exists():
            return _complain(messages, f"no such file: {path}")
        if kind == "SceneFile":
            return self._load_scene(path, properties, messages)
        if kind not in self._readers:
            return _complain(messages, f"headless sessions cannot read {kind}: {path}")
        name = str(properties.get("name") or _base_name(path))
        nodes = self._readers.read(kind, path, name, properties, messages)
        if loaded is not None:
            for node in nodes:
                loaded.AddItem(node)
        return bool(nodes) or _complain(messages, f"could not be read as {kind}: {path}")

    def _load_scene(self, path: str, properties: Properties, messages: Any) -> bool:
        clear = bool(properties.get("clear", False))
        if path.lower().endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(path, clear, messages))
        self._scene.SetURL(path)
        self._scene.SetRootDirectory(str(Path(path).parent))
        return bool(self._scene.Connect(messages) if clear else self._scene.Import(messages))

    # ---- writing ---------------------------------------------------------------------------------------------

    def saveNodes(self, kind: str, properties: Properties, messages: Any = None) -> bool:
        """Write the node ``properties["nodeID"]``, or the scene, to ``properties["fileName"]``."""
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._save_scene(path, messages)
        node = self._scene.GetNodeByID(str(properties["nodeID"]))
        if node is None or not node.IsA("vtkMRMLStorableNode"):
            return _complain(messages, f"this node cannot be saved: {properties['nodeID']}")
        if node.IsA("vtkMRMLTextNode"):  # a short text has a file only if asked for
            node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode(path):
            return _complain(messages, f"no file format for {node.GetClassName()}")
        return _write(node, node.GetStorageNode(), path, properties, messages)

    def exportNodes(
        self, node_ids: list[str], paths: list[str], properties: Properties, world: bool, messages: Any = None
    ) -> bool:
        """Write nodes without touching their storage nodes; ``world`` applies their transforms first."""
        done = True
        for node_id, path in zip(node_ids, paths, strict=True):
            node = self._scene.GetNodeByID(node_id)
            storage = _new_storage(node)
            if world and node.IsA("vtkMRMLTransformableNode") and node.GetParentTransformNode():
                done &= self._write_hardened(node, storage, str(path), properties, messages)
            else:
                done &= _write(node, storage, str(path), properties, messages)
        return done

    def _write_hardened(self, node: Any, storage: Any, path: str, properties: Properties, messages: Any) -> bool:
        copy = self._scene.AddNewNodeByClass(node.GetClassName())
        copy.CopyContent(node)
        copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        copy.HardenTransform()
        written = _write(copy, storage, path, properties, messages)
        self._scene.RemoveNode(copy)
        return written

    def _save_scene(self, path: str, messages: Any) -> bool:
        ending = Path(path).suffix.lower()
        if ending == ".mrb":
            return bool(self._scene.WriteToMRB(path, None, messages))
        if ending == ".mrml":
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(str(Path(path).parent))
            return bool(self._scene.Commit(path, messages))
        Path(path).mkdir(parents=True, exist_ok=True)
        return bool(self._application_logic.SaveSceneToSlicerDataBundleDirectory(path, None, messages))


def _new_storage(node: Any) -> Any:
    storage = node.CreateDefaultStorageNode()
    storage.UnRegister(None)  # the C++ caller owns what this returns; Python holds its own reference
    return storage


def _write(node: Any, storage: Any, path: str, properties: Properties, messages: Any) -> bool:
    storage.SetFileName(path)
    if "useCompression" in properties:
        storage.SetUseCompression(int(properties["useCompression"]))
    if storage.WriteData(node):
        return True
    return _complain(messages, f"could not be written as {node.GetClassName()}: {path}")


def _base_name(path: str) -> str:
    name = Path(path).name
    return name[: -len("".join(Path(path).suffixes[-2:]))] if name.lower().endswith(".nii.gz") else name.split(".")[0]


def _complain(messages: Any, text: str) -> bool:
    if messages is not None:
        messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
    return False
