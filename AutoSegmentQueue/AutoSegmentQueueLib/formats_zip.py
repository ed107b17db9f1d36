"""Zip archives of DICOM: complete to the directory, and nothing dangerous in it. Nothing is unpacked here."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from DicomWorkbenchLib.archives import METHODS, Limits
from DicomWorkbenchLib.archives_names import safe_parts
from DicomWorkbenchLib.errors import ArchiveError
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.formats import Checked, NotComplete, NotUsable, damaged


def check(path: Path, cancel: CancelToken) -> Checked:
    """Check a zip archive by its directory.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    limits = Limits()
    _check_directory(path, limits)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_places(path, archive, entries)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError, OSError) as error:
        raise damaged(path, f"the archive is damaged ({error})") from error
    total = 0
    for entry in entries:
        cancel.check()
        try:
            safe_parts(entry, "the archive")
        except ArchiveError as error:
            raise NotUsable(str(error)) from error
        if entry.flag_bits & 1 or entry.compress_type not in METHODS:
            raise NotUsable(
                "the archive is encrypted or packed in a way that is not read; unpack it and give the folder"
            )
        total += entry.file_size
    if not any(not entry.is_dir() for entry in entries):
        raise NotUsable("the archive holds no file")
    if total > limits.total_bytes or total > max(limits.ratio_from_bytes, limits.ratio * path.stat().st_size):
        raise NotUsable("the archive claims to unpack to far more than scans do; it is refused")
    return Checked("zip")


def _check_directory(path: Path, limits: Limits) -> None:
    """Find the end record, and refuse a directory that alone would fill the memory.

    References
    ----------
    PKWARE APPNOTE 4.3.16
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 0xFFFF - 22))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise NotComplete("the archive has no directory at its end yet")
    (entries,) = struct.unpack_from("<H", tail, end + 10)
    (directory,) = struct.unpack_from("<I", tail, end + 12)
    if directory != 0xFFFFFFFF and directory > limits.entries * 512:
        raise NotUsable("the archive has a directory far larger than any of scans")
    if entries == 0:
        raise NotUsable("the archive holds no file")


def _check_places(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    for entry in entries:
        with archive.open(entry) if not entry.flag_bits & 1 and not entry.is_dir() else path.open("rb"):
            pass  # opening reads the local header and compares it with the directory; nothing is inflated
    if len(entries) > Limits().entries:
        raise NotUsable(f"the archive holds {len(entries)} files; that is more than any of scans")
