"""DICOM files and folders: does every file go on to the end of its pixel data?

References
----------
DICOM PS3.5 A.4 (encapsulated pixel data: items up to the sequence delimiter).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.headers_parse import (
    CHUNK,
    UNDEFINED,
    NotDicom,
    ParsedHeader,
    Unusual,
    inflating,
    parse_header,
)
from DicomWorkbenchLib.headers_tags import Tag
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.formats import MOST_VOXELS, Checked, NotComplete, NotUsable, ensure_closed

LITTER = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})
# Media directory, presentation states, reports, encapsulated documents, RT structures and plans: whole without pixel data.
_WITHOUT_PIXELS = tuple(
    b"1.2.840.10008." + part
    for part in (
        b"1.3.10",
        *(b"5.1.4.1.1." + n for n in (b"11.", b"88.", b"104.", b"481.3", b"481.5", b"66.1", b"66.2", b"66.3", b"9.")),
    )
)
_LARGEST_DEFLATED = 1 << 30


def check_file(path: Path, cancel: CancelToken) -> Checked:
    """Check one DICOM file, which must be an image.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    voxels = _voxels(path)
    if not voxels:
        raise NotUsable("it is DICOM without an image; give the scan itself")
    return Checked("dicom", voxels)


@dataclass(frozen=True)
class Slice:
    """An image of one frame: the series it belongs to, and its modality."""

    series_uid: str
    modality: str


def slice_of(path: Path, *, whole: bool = True) -> Slice | None:
    """Return which series a DICOM image of one frame belongs to; None for all other files.

    Parameters
    ----------
    whole : whether it must go on to the end of its pixel data; otherwise its beginning is enough.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`; only with ``whole``.
    OSError : it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        if not _may_be_dicom(path, file):
            return None
        file.seek(0)
        try:
            header = parse_header(file)
        except (NotDicom, Unusual, struct.error):
            return None
    values = header.values
    series_uid, modality, frames = (
        values.get(tag, b"").decode("ascii", "replace").strip(" \0") for tag in (Tag.SERIES, Tag.MODALITY, Tag.FRAMES)
    )
    is_image = header.pixel_tag != 0 or header.truncated
    if not series_uid or not is_image or frames not in ("", "1") or Tag.ROWS not in values:
        return None
    if whole:
        _voxels(path)
    return Slice(series_uid, "".join(letter for letter in modality if letter.isalnum())[:16])


def _may_be_dicom(path: Path, file: io.FileIO) -> bool:
    head = file.read(132)
    return head[128:] == b"DICM" or (path.suffix.lower() in (".dcm", ".dicom") and head[:1] in (b"\x02", b"\x08"))


def check_folder(folder: Path, cancel: CancelToken) -> Checked:
    """Check a folder of DICOM files; files of other kinds in it are passed over.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`; the message names how many files, not which.
    """
    return check_files(files_of(folder), cancel)


def check_files(files: Sequence[Path], cancel: CancelToken) -> Checked:
    """Check DICOM files that are one input; see `check_folder`."""
    voxels = images = others = 0
    for path in files:
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
    """Return the voxels of a complete DICOM file; 0 if it is of a class that has none."""
    with open(path, "rb", buffering=0) as file:
        try:
            header = parse_header(file)
            if header.truncated:
                raise NotComplete("it ends in the middle of an element")
            if header.pixel_tag:
                _check_end(file, header)
        except NotDicom as error:
            raise _unreadable(file, f"it is not DICOM ({error})") from error
        except (Unusual, struct.error) as error:
            raise _unreadable(file, f"its DICOM elements are damaged ({error})") from error
    if header.pixel_tag:
        return _promised(header)
    sop_class = (header.values.get(Tag.SOP_CLASS) or header.values.get(Tag.MEDIA_SOP_CLASS, b"")).rstrip(b" \0")
    if not sop_class.startswith(_WITHOUT_PIXELS):
        raise NotComplete("it ends before its pixel data")
    return 0


def _unreadable(file: io.FileIO, message: str) -> InputError:
    """Return the error for a header that makes no sense; one that ends within the first block may just not be whole yet."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(132)
    begins_as_dicom = head[128:] == b"DICM"[: len(head[128:])] if len(head) > 128 else not any(head)
    if size < CHUNK and (begins_as_dicom or head[:2] in (b"\x02\x00", b"\x08\x00")):
        return NotComplete(f"only {size} bytes so far; {message}")
    return NotUsable(message)


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
