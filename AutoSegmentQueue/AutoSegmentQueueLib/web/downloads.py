"""Downloads that are made when asked for: the surface of one structure, and everything as one archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.report import relative_files

from AutoSegmentQueueLib.export_mesh import Mesh, stl_bytes
from AutoSegmentQueueLib.export_parts import Part, read_parts

_BLOCK = 1 << 20
_PACKED = (".gz", ".zip", ".png", ".npz", ".nrrd")  # compressed already


def stl_of(folder: Path, structure: str) -> bytes:
    """Return the surface of one structure as binary STL, LPS mm, as the model has it.

    Raises
    ------
    InputError : there is no model, or no such structure in it.
    """
    for name in ("segmentation.glb", "segmentation.gltf"):
        if (folder / name).is_file():
            part = next((part for part in read_parts(folder / name) if part.name == structure), None)
            if part is None:
                raise InputError(f"the model has no surface of {structure!r}; it may be too small for one")
            return stl_bytes(_mesh_of(part))
    raise InputError("this job has no model; run it again with the format glb")


def _mesh_of(part: Part) -> Mesh:
    points = part.points_lps_mm.astype(np.float32)
    return Mesh(part.name, "", part.color, part.opacity, points, np.zeros_like(points), part.triangles)


def zip_of(folder: Path) -> Iterator[bytes]:
    """Yield a zip archive of a result folder piece by piece: nothing on disk, a megabyte in memory; equal folders, equal archives."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in relative_files(folder):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}")
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what the archive writes until somebody asks for it; it cannot seek, so the archive does not try to."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """Return what has been written since the last time."""
        held, self._held = bytes(self._held), bytearray()
        return held
