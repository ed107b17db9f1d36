"""glTF 2.0 and GLB: one named mesh per structure below a root that turns LPS millimetres into metres with Y up.

References
----------
https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html: 3.4 (metres, Y up), 3.9.2 (base colour is linear), 4.4 (GLB)
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.errors import FileError
from numpy.typing import NDArray

from AutoSegmentQueueLib.export_mesh import Mesh

# Column by column, as glTF stores it: x stays left, superior becomes up, anterior looks at the viewer; mm to m.
ROOT_MATRIX = (0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1)
_FLOAT, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_INLINE = "data:application/octet-stream;base64,"

Document = dict[str, Any]


def linear_of_srgb(value: float) -> float:
    """Return the linear intensity of an sRGB component, both 0 to 1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(value: float) -> float:
    """Return the sRGB component of a linear intensity, both 0 to 1 (IEC 61966-2-1)."""
    return value * 12.92 if value <= 0.0031308 else float(1.055 * value ** (1 / 2.4) - 0.055)


def build(meshes: list[Mesh], name: str) -> tuple[Document, bytes]:
    """Build a model.

    Parameters
    ----------
    meshes : one per structure, in LPS mm.
    name : of the root node.

    Returns
    -------
    The glTF document without its buffer, and the buffer.
    """
    builder = _Builder(name)
    for mesh in meshes:
        builder.add(mesh)
    return builder.document, bytes(builder.blob)


class _Builder:
    """A glTF document that grows mesh by mesh."""

    def __init__(self, name: str) -> None:
        self.blob = bytearray()
        self._root: Document = {"name": name, "matrix": list(ROOT_MATRIX), "children": []}
        self._groups: dict[str, Document] = {}
        self.document: Document = {
            "asset": {"version": "2.0", "generator": f"DicomWorkbench {__version__}"},
            "scene": 0,
            "scenes": [{"name": name, "nodes": [0]}],
            "nodes": [self._root],
            **{kind: [] for kind in ("meshes", "materials", "accessors", "bufferViews")},
        }

    def add(self, mesh: Mesh) -> None:
        attributes = {
            "POSITION": self._array(mesh.points_lps_mm.astype("<f4"), "VEC3", _FLOAT, _ARRAY_BUFFER, limits=True),
            "NORMAL": self._array(mesh.normals_lps.astype("<f4"), "VEC3", _FLOAT, _ARRAY_BUFFER),
        }
        indices = self._array(mesh.triangles.astype("<u4").ravel(), "SCALAR", _UINT32, _ELEMENT_ARRAY_BUFFER)
        material = self._append("materials", _material(mesh))
        primitive = {"attributes": attributes, "indices": indices, "material": material, "mode": 4}
        number = self._append("meshes", {"name": mesh.name, "primitives": [primitive]})
        self._parent(mesh.group)["children"].append(self._append("nodes", {"name": mesh.name, "mesh": number}))

    def _parent(self, group: str) -> Document:
        if not group:
            return self._root
        if group not in self._groups:
            self._groups[group] = {"name": group, "children": []}
            self._root["children"].append(self._append("nodes", self._groups[group]))
        return self._groups[group]

    def _array(self, values: NDArray[Any], kind: str, component: int, target: int, *, limits: bool = False) -> int:
        view = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": values.nbytes, "target": target}
        self.blob += values.tobytes()  # every component has 4 bytes, so all views are aligned
        accessor: Document = {
            "bufferView": self._append("bufferViews", view),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if limits:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return self._append("accessors", accessor)

    def _append(self, kind: str, item: Document) -> int:
        items: list[Document] = self.document[kind]
        items.append(item)
        return len(items) - 1


def _material(mesh: Mesh) -> Document:
    color = [round(linear_of_srgb(component), 6) for component in mesh.color]
    surface = {"baseColorFactor": [*color, mesh.opacity], "metallicFactor": 0.0, "roughnessFactor": 0.7}
    material: Document = {"name": mesh.name, "pbrMetallicRoughness": surface}
    return material | {"alphaMode": "BLEND", "doubleSided": True} if mesh.opacity < 1 else material


def as_gltf(document: Document, blob: bytes) -> bytes:
    """Return the text of a glTF file that carries its buffer inside."""
    uri = _INLINE + base64.b64encode(blob).decode("ascii")
    return json.dumps(document | {"buffers": [{"byteLength": len(blob), "uri": uri}]}).encode()


def as_glb(document: Document, blob: bytes) -> bytes:
    """Return a binary glTF file."""
    text = json.dumps(document | {"buffers": [{"byteLength": len(blob)}]}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    blob += b"\0" * (-len(blob) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(blob), _BIN) + blob
    return struct.pack("<III", _MAGIC, 2, 12 + len(chunks)) + chunks


def read(path: Path) -> tuple[Document, bytes]:
    """Read a glTF file whose buffers are inside it, or a GLB file, as a document and one buffer.

    Raises
    ------
    FileError : it is neither, or is cut off.
    """
    try:
        content = path.read_bytes()
        document, blob = _chunks_of(content) if content[:4] == b"glTF" else (json.loads(content), b"")
        return _with_one_buffer(document, blob)
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise FileError(f"{path.name} is no complete glTF file: {error}") from error


def _chunks_of(content: bytes) -> tuple[Document, bytes]:
    _, _, length = struct.unpack_from("<III", content)
    if length != len(content):
        raise ValueError(f"it says {length} bytes and has {len(content)}")
    size, kind = struct.unpack_from("<II", content, 12)
    if kind != _JSON:
        raise ValueError("its first chunk is not JSON")
    document = json.loads(content[20 : 20 + size])
    if 20 + size == length:
        return document, b""
    blob_size, _ = struct.unpack_from("<II", content, 20 + size)
    return document, content[28 + size : 28 + size + blob_size]


def _with_one_buffer(document: Document, blob: bytes) -> tuple[Document, bytes]:
    """Put buffers that are carried as data addresses into one, and let the views point there."""
    joined, starts = bytearray(), []
    for buffer in document.get("buffers", []):
        starts.append(len(joined))
        uri = buffer.get("uri", "")
        if uri and not uri.startswith("data:"):
            raise ValueError(f"its buffer lies in another file, {uri}")
        data = base64.b64decode(uri.partition(",")[2], validate=True) if uri else blob
        if len(data) < buffer["byteLength"]:
            raise ValueError(f"a buffer should have {buffer['byteLength']} bytes and has {len(data)}")
        joined += data[: buffer["byteLength"]]
        joined += b"\0" * (-len(joined) % 4)
    views = [
        view | {"buffer": 0, "byteOffset": starts[view["buffer"]] + view.get("byteOffset", 0)}
        for view in document.get("bufferViews", [])
    ]
    rest = {key: value for key, value in document.items() if key != "buffers"}
    return rest | {"bufferViews": views}, bytes(joined)
