"""Surfaces as plain arrays, and as STL and OBJ files in patient coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from AutoSegmentQueueLib.engines.model import ImageVolume
from AutoSegmentQueueLib.true_places import true_places

Points = NDArray[np.float32]
Triangles = NDArray[np.uint32]
# Binary STL: 80 bytes of text, a count, and 50 bytes per triangle.
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, eq=False)
class Mesh:
    """The closed surface of one structure.

    Attributes
    ----------
    name, group : of the structure.
    color : sRGB, 0 to 1.
    opacity : 0 to 1.
    points_lps_mm : (n, 3) corners.
    normals_lps : (n, 3) unit vectors that point outwards.
    triangles : (m, 3) indices of corners, counter-clockwise seen from outside.
    """

    name: str
    group: str
    color: tuple[float, float, float]
    opacity: float
    points_lps_mm: Points
    normals_lps: Points
    triangles: Triangles

    @property
    def volume_ml(self) -> float:
        """Volume the surface encloses."""
        return enclosed_volume_ml(self.points_lps_mm, self.triangles)


def enclosed_volume_ml(points_mm: NDArray[np.floating], triangles: Triangles) -> float:
    """Return the volume a closed surface encloses, by the divergence theorem; negative if it is inside out."""
    a, b, c = (points_mm[triangles[:, corner]].astype(float) for corner in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6000.0)


def enclosed_centroid(points: NDArray[np.floating], triangles: Triangles) -> FloatArray:
    """Return the centre (3,) of what a closed surface encloses, by the divergence theorem."""
    middle = points.mean(axis=0, dtype=float)
    a, b, c = (points[triangles[:, corner]] - middle for corner in range(3))
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c))
    total = volumes.sum()
    if abs(total) < 1e-9:
        return np.asarray(middle)
    return np.asarray(middle + (volumes[:, None] * (a + b + c)).sum(axis=0) / (4 * total))


def in_true_place(mesh: Mesh, volume: ImageVolume) -> Mesh:
    """Move the corners of a surface from the scene's even grid to where the slices of the scan truly are."""
    if volume.planes_lps is None:
        return mesh
    points = true_places(mesh.points_lps_mm, volume.matrix_lps, volume.planes_lps)
    return replace(mesh, points_lps_mm=points.astype(np.float32))


def recentred(mesh: Mesh, centroid_lps_mm: Sequence[float], most_mm: float) -> Mesh:
    """Move a surface as a whole onto the centre of its voxels.

    Smoothing takes more from a small piece than from a large one, and decimation cuts corners unevenly, so the centre of a surface
    drifts by a tenth of a millimetre or two. A surface that is further off than ``most_mm`` has lost a piece, and stays where it is.
    """
    shift = np.asarray(centroid_lps_mm) - enclosed_centroid(mesh.points_lps_mm, mesh.triangles)
    if np.linalg.norm(shift) > most_mm:
        return mesh
    return replace(mesh, points_lps_mm=(mesh.points_lps_mm + shift).astype(np.float32))


def write_stl(path: Path, mesh: Mesh) -> None:
    """Write one mesh as binary STL, LPS mm (as Slicer reads STL by default)."""
    path.write_bytes(stl_bytes(mesh))


def stl_bytes(mesh: Mesh) -> bytes:
    """Return the content of a binary STL file, LPS mm."""
    corners = mesh.points_lps_mm[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    records = np.zeros(len(corners), _STL_TRIANGLE)
    records["normal"] = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    records["corners"] = corners
    header = f"{mesh.name}; SPACE=LPS; mm".encode("ascii", "replace")[:80].ljust(80)
    return header + np.uint32(len(corners)).tobytes() + records.tobytes()


def write_obj(path: Path, meshes: list[Mesh]) -> list[Path]:
    """Write all meshes as one OBJ file with a group and a material for each, LPS mm; returns it and its materials' file."""
    materials = path.with_suffix(".mtl")
    blocks = [f"# SPACE=LPS; mm\nmtllib {materials.name}\n"]
    first = 1
    for mesh in meshes:
        name = file_name(mesh.name)
        corners = "".join(f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in mesh.points_lps_mm.tolist())
        faces = "".join(f"f {a} {b} {c}\n" for a, b, c in (mesh.triangles.astype(np.int64) + first).tolist())
        blocks.append(f"g {name}\nusemtl {name}\n{corners}{faces}")
        first += len(mesh.points_lps_mm)
    path.write_text("".join(blocks), encoding="ascii")
    materials.write_text("".join(_material(mesh) for mesh in meshes), encoding="ascii")
    return [path, materials]


def _material(mesh: Mesh) -> str:
    red, green, blue = mesh.color
    return f"newmtl {file_name(mesh.name)}\nKd {red:.4f} {green:.4f} {blue:.4f}\nd {mesh.opacity:.3f}\n"


def file_name(name: str) -> str:
    """Return a name that every file system and every OBJ reader takes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name).strip(".") or "structure"
