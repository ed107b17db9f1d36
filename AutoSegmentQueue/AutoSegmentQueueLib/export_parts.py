"""What a glTF model holds, read back as a viewer would: named parts with colours, in metres, in world coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.geometry import FloatArray, transform_points
from numpy.typing import NDArray

from AutoSegmentQueueLib.export_gltf import Document, read, srgb_of_linear

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True, eq=False)
class Part:
    """One mesh of a model.

    Attributes
    ----------
    name : of its mesh.
    path : names of the nodes above it, the root first.
    color : sRGB, 0 to 1.
    opacity : 0 to 1.
    points_m : (n, 3) corners in world coordinates, metres, Y up.
    triangles : (m, 3) indices of corners.
    """

    name: str
    path: tuple[str, ...]
    color: tuple[float, float, float]
    opacity: float
    points_m: FloatArray
    triangles: NDArray[np.uint32]

    @property
    def points_lps_mm(self) -> FloatArray:
        """The corners in patient coordinates."""
        x, y, z = self.points_m.T * 1000.0
        return np.stack([x, -z, y], axis=1)


def read_parts(path: Path) -> list[Part]:
    """Read the parts of a glTF or GLB file.

    Raises
    ------
    FileError : it is no complete model.
    """
    document, blob = read(path)
    try:
        roots = document["scenes"][document.get("scene", 0)]["nodes"]
        return [part for root in roots for part in _parts(document, blob, root, np.eye(4), ())]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise FileError(f"{path.name} is no complete model: {type(error).__name__} {error}") from error


def _parts(document: Document, blob: bytes, number: int, above: FloatArray, path: tuple[str, ...]) -> Iterator[Part]:
    node = document["nodes"][number]
    matrix = above @ _matrix(node)
    if "mesh" in node:
        mesh = document["meshes"][node["mesh"]]
        for primitive in mesh["primitives"]:
            color, opacity = _color(document, primitive.get("material"))
            points = _array(document, blob, primitive["attributes"]["POSITION"]).astype(float)
            triangles = _array(document, blob, primitive["indices"]).reshape(-1, 3).astype(np.uint32)
            name = mesh.get("name") or node.get("name", "")
            yield Part(name, path, color, opacity, transform_points(matrix, points), triangles)
    for child in node.get("children", []):
        yield from _parts(document, blob, child, matrix, (*path, node.get("name", "")))


def _matrix(node: Document) -> FloatArray:
    if "matrix" in node:
        return np.asarray(node["matrix"], float).reshape(4, 4).T
    if {"rotation", "scale", "translation"} & set(node):
        raise ValueError("nodes placed by rotation, scale or translation are not read here")
    return np.eye(4)


def _array(document: Document, blob: bytes, number: int) -> NDArray[Any]:
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    stride = view.get("byteStride") or kind.itemsize * width
    shape, strides = (accessor["count"], width), (stride, kind.itemsize)
    values = np.ndarray(shape, kind, blob, start, strides)
    return values if width > 1 else values[:, 0]


def _color(document: Document, material: int | None) -> tuple[tuple[float, float, float], float]:
    if material is None:
        return (1.0, 1.0, 1.0), 1.0
    surface = document["materials"][material].get("pbrMetallicRoughness", {})
    red, green, blue, opacity = surface.get("baseColorFactor", [1, 1, 1, 1])
    return (srgb_of_linear(red), srgb_of_linear(green), srgb_of_linear(blue)), float(opacity)
