"""DICOM files and folders: does every file go on to the end of its pixel data?

References
----------
DICOM PS3.5 A.4 (encapsulated pixel data: items up to the sequence delimiter).
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

from DicomWorkbenchLib.headers_parse import (
    UNDEFINED,
    NotDicom,
    ParsedHeader,
    Tag,
    Unusual,
    inflating,
    parse_header,
)
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.formats import MOST_VOXELS, Checked, NotComplete, NotUsable, ensure_closed

LITTER = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})
_LARGEST_DEFLATED = 1 << 30


def check_file(path: Path, cancel: CancelToken) -> Checked:
    """Check one DICOM file, which must be an image.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    voxels = _voxels(path)
    if not voxels:
        raise NotUsable("it is DICOM without an image")
    return Checked("dicom", voxels)


def check_folder(folder: Path, cancel: CancelToken) -> Checked:
    """Check a folder of DICOM files; files of other kinds in it are passed over.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`; the message names how many files, not which.
    """
    voxels = images = others = 0
    for path in files_of(folder):
        cancel.check()
        ensure_closed(path)
        try:
            found = _voxels(path)
        except NotUsable:
            others += 1
            continue
        voxels += found
        images += found > 0
    if not images:
        raise (NotUsable if others else NotComplete)("the folder holds no DICOM image")
    return Checked("dicom", voxels)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder that may be part of a scan, sorted.

    Raises
    ------
    NotComplete : one of them is called ``.part``, as half-copied files are.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if any(path.name.lower().endswith((".part", ".crdownload", ".tmp", ".filepart")) for path in files):
        raise NotComplete("a file in the folder is still being copied (.part)")
    return [path for path in files if not path.name.startswith(".") and path.name.lower() not in LITTER]


def _voxels(path: Path) -> int:
    """Return the voxels of a complete DICOM file; 0 if it has none."""
    with open(path, "rb", buffering=0) as file:
        try:
            header = parse_header(file)
            if header.truncated:
                raise NotComplete("it ends in the middle of an element")
            if header.pixel_tag:
                _check_end(file, header)
        except NotDicom as error:
            raise NotUsable(f"it is not DICOM ({error})") from error
        except (Unusual, struct.error) as error:
            raise NotUsable(f"its DICOM elements are damaged ({error})") from error
    if not header.pixel_tag:
        return 0
    return _promised(header)


def _promised(header: ParsedHeader) -> int:
    order = ">" if header.big_endian else "<"
    raw = [header.values.get(tag, b"") for tag in (Tag.ROWS, Tag.COLUMNS)]
    if any(len(value) < 2 for value in raw):
        raise NotUsable("it has pixel data but no rows and columns")
    rows, columns = (struct.unpack_from(order + "H", value)[0] for value in raw)
    try:
        frames = int(header.values.get(Tag.FRAMES, b"1").rstrip(b" \0") or 1)
    except ValueError as error:
        raise NotUsable("its number of frames is no number") from error
    if not 0 < rows * columns * frames <= MOST_VOXELS:
        raise NotUsable(f"it promises {frames} frames of {rows} x {columns}; no scan is like that")
    if header.pixel_length != UNDEFINED:
        _check_native(header, rows * columns * frames, order)
    return int(rows * columns * frames)


def _check_native(header: ParsedHeader, pixels: int, order: str) -> None:
    raw = header.values.get(Tag.BITS_ALLOCATED, b"")
    bits = struct.unpack_from(order + "H", raw)[0] if len(raw) >= 2 else 0
    if not 1 <= bits <= 64:
        raise NotUsable("its bits allocated make no sense")
    if header.pixel_length < pixels * bits // 8:
        raise NotUsable(f"its pixel data has {header.pixel_length} bytes; {pixels * bits // 8} are needed")


def _check_end(file: io.FileIO, header: ParsedHeader) -> None:
    if header.deflated:
        read = inflating(file, header.data_offset, _LARGEST_DEFLATED)
        there = len(read(header.pixel_offset, header.pixel_length)) == header.pixel_length
    elif header.pixel_length == UNDEFINED:
        there = _encapsulated_ends(file, header)
    else:
        there = header.pixel_offset + header.pixel_length <= header.file_size
    if not there:
        raise NotComplete("its pixel data ends before it should")


def _encapsulated_ends(file: io.FileIO, header: ParsedHeader) -> bool:
    """Go from fragment to fragment; True if the sequence delimiter is reached."""
    offset = header.pixel_offset
    while offset + 8 <= header.file_size:
        file.seek(offset)
        group, element, length = struct.unpack("<HHI", file.read(8))
        if (group, element) == (0xFFFE, 0xE0DD):
            return True
        if (group, element) != (0xFFFE, 0xE000):
            raise NotUsable("its compressed pixel data is damaged")
        offset += 8 + length
    return False
