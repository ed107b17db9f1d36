"""Sidecars: an index once made is kept in the user's cache, never beside the data unless asked.

A sidecar holds positions and lengths only, nothing of the patient. It is found by the file's size, time, inode and a hash of its header;
if any of these differ, it is as if there were none.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from array import array
from dataclasses import asdict
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import write_atomically

from .header import Element, Header
from .index import FragmentIndex, FrameIndex
from .native import NativeIndex
from .pixel_format import PixelFormat
from .sources import ByteSource

SUFFIX = ".frame-index"
_MAGIC = b"DWFRAMES2\n"
_HASHED = 1 << 16  # bytes at the beginning of the file that are hashed
_LARGEST_CACHE = 1 << 28  # 256 MB in all; the oldest sidecars go first
_SMALLEST = 64  # frames; below, building is as quick as loading


def cache_folder() -> Path:
    """Return the user's cache folder for sidecars (``DICOM_WORKBENCH_CACHE`` overrides it); it may not exist yet."""
    named = os.environ.get("DICOM_WORKBENCH_CACHE")
    if named:
        return Path(named) / "frame-index"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dicom-workbench" / "frame-index"


def key_of(source: ByteSource) -> str:
    """Return the name under which a source's index is kept: a hash of its identity and of its first 64 KiB."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update("\0".join((_MAGIC.decode(), *source.identity)).encode())
    digest.update(source.read_at(0, _HASHED))
    return digest.hexdigest()


def beside(path: Path) -> Path:
    """Return the name of a sidecar that lies beside the data."""
    return path.with_name(path.name + SUFFIX)


def worth_keeping(index: FrameIndex, header: Header) -> bool:
    """True where loading a sidecar is quicker than reading the file again."""
    return (isinstance(index, FragmentIndex) and len(index.offsets) >= _SMALLEST) or len(
        header.frame_starts
    ) >= _SMALLEST


def save(target: Path, key: str, header: Header, pixels: PixelFormat, index: FrameIndex) -> None:
    """Write an index so that `load` gives the same one back.

    Raises
    ------
    OutputError : the folder cannot be written.
    """
    arrays = [header.frame_starts, header.frame_ends]
    if isinstance(index, FragmentIndex):
        arrays += [index.first, index.offsets, index.lengths, index.true_lengths]
    description = {
        "key": key,
        "header": _header_facts(header),
        "pixels": asdict(pixels),
        "index": _index_facts(index),
        "arrays": [len(values) for values in arrays],
    }
    text = json.dumps(description, separators=(",", ":")).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(_little(values) for values in arrays)
    write_atomically(target, _MAGIC + hashlib.blake2b(body, digest_size=16).digest() + body)


def load(target: Path, key: str, source: ByteSource) -> tuple[Header, PixelFormat, FrameIndex] | None:
    """Read an index; None if there is none, or it is damaged or of another file."""
    try:
        raw = target.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 16
    body = raw[start:]
    if raw[: len(_MAGIC)] != _MAGIC or hashlib.blake2b(body, digest_size=16).digest() != raw[len(_MAGIC) : start]:
        return None
    length = struct.unpack_from("<I", body)[0]
    description = json.loads(body[4 : 4 + length])
    if description["key"] != key:
        return None
    arrays = _read_arrays(body, 4 + length, description["arrays"])
    header = _header(source, description["header"], arrays)
    return header, PixelFormat(**description["pixels"]), _index(description["index"], arrays)


def prune(folder: Path) -> None:
    """Remove the oldest sidecars until the cache is small enough."""
    files = sorted((p for p in folder.glob("*" + SUFFIX)), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > _LARGEST_CACHE:
            path.unlink(missing_ok=True)


def keep(key: str, header: Header, pixels: PixelFormat, index: FrameIndex) -> None:
    """Write a sidecar into the cache; where that is impossible, the next opening just takes longer."""
    folder = cache_folder()
    try:
        save(folder / (key + SUFFIX), key, header, pixels, index)
        prune(folder)
    except (OSError, OutputError):
        return  # a cache that cannot be written (read-only home, full disk) must not stop anybody from looking at frames


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def _read_arrays(body: bytes, position: int, counts: list[int]) -> list[array[int]]:
    found = []
    for count in counts:
        values = array("Q")
        values.frombytes(body[position : position + 8 * count])
        if sys.byteorder == "big":
            values.byteswap()
        found.append(values)
        position += 8 * count
    return found


def _header_facts(header: Header) -> dict[str, Any]:
    names = (
        "transfer_syntax",
        "explicit",
        "big_endian",
        "pixel_tag",
        "pixel_vr",
        "pixel_offset",
        "pixel_length",
        "end",
    )
    facts: dict[str, Any] = {name: getattr(header, name) for name in names}
    facts["elements"] = [[tag, e.vr, e.offset, e.length] for tag, e in header.elements.items()]
    return facts


def _header(source: ByteSource, facts: dict[str, Any], arrays: list[array[int]]) -> Header:
    elements = {tag: Element(vr, offset, length) for tag, vr, offset, length in facts.pop("elements")}
    return Header(source, **facts, elements=elements, frame_starts=arrays[0], frame_ends=arrays[1])


def _index_facts(index: FrameIndex) -> dict[str, Any]:
    if isinstance(index, NativeIndex):
        return {"native": asdict(index)}
    names = ("frames", "notes", "witness", "table")
    facts = {name: getattr(index, name) for name in names}
    if isinstance(index, FragmentIndex):
        facts["broken"] = {str(frame): why for frame, why in index.broken.items()}
    return facts


def _index(facts: dict[str, Any], arrays: list[array[int]]) -> FrameIndex:
    if "native" in facts:
        return NativeIndex(**facts["native"])
    broken = {int(frame): why for frame, why in facts.pop("broken").items()}
    first, offsets, lengths, true_lengths = arrays[2:6]
    return FragmentIndex(
        first=first, offsets=offsets, lengths=lengths, true_lengths=true_lengths, broken=broken, **facts
    )
