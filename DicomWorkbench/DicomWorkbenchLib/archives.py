"""Unpacking zip archives that nobody vouches for.

Nothing an archive says about itself is believed: sizes are measured while inflating, names cannot leave the folder, links and devices
are refused. Either everything is unpacked or nothing is left behind.
"""

from __future__ import annotations

import os
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.archives_names import Places, safe_parts
from DicomWorkbenchLib.errors import ArchiveError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress

CHUNK = 1 << 18  # bytes inflated between two looks at limits and cancel token
SPARE_DISK_SHARE = 0.95  # of the free space an archive may fill
LARGEST_DIRECTORY_ENTRY = 512  # bytes; a directory with longer entries on average is made to exhaust memory
# The only methods DICOM media use. The others (bzip2, LZMA) let a few bytes claim gigabytes of memory at once.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
# Office documents and packages are zip archives too; nobody means them when handing over scans.
_DOCUMENTS = frozenset({".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".mrb", ".npz", ".3mf"})
_PACKAGES = frozenset({".jar", ".apk", ".whl", ".egg", ".nupkg", ".xpi", ".vsix"})


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Parameters
    ----------
    entries : files and folders, nested archives included.
    total_bytes : all files together.
    file_bytes : one file.
    ratio : unpacked bytes per byte of the archive given. Masks that are zero almost everywhere reach 500; a bomb of zeros 1000.
    ratio_from_bytes : the ratio is judged only above this total, as a small file harms nobody.
    depth : archives within archives; a cohort in the layout of 3D-IRCADb has two levels.
    """

    entries: int = 300_000
    total_bytes: int = 200 << 30
    file_bytes: int = 64 << 30
    ratio: float = 700.0
    ratio_from_bytes: int = 64 << 20
    depth: int = 4


def is_archive(path: Path) -> bool:
    """True for a zip archive, whatever its name, that is no office document or program package.

    Raises
    ------
    OSError : the file cannot be read.
    """
    if path.suffix.lower() in _DOCUMENTS | _PACKAGES:
        return False
    with open(path, "rb") as file:
        return file.read(4) in _SIGNATURES


def unpack(
    archive: Path,
    into: Path,
    *,
    limits: Limits | None = None,
    nested: bool = True,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> list[Path]:
    """Unpack a zip archive, and the zip archives inside it, into a folder.

    A nested archive becomes a folder of its name. One that is damaged or encrypted stays as a file. Names that are used twice, also if
    only by upper and lower case, get a number: nothing is overwritten.

    Parameters
    ----------
    archive : the zip file.
    into : the folder to make; it must not exist, or be empty.
    limits : how much may come out; None takes the defaults.
    nested : whether archives inside are unpacked too; if not, they stay as files for later.
    progress : called with entries done and entries of the outer archive.
    cancel : looked at after every quarter of a megabyte.

    Returns
    -------
    list of the files, in the order of the archive.

    Raises
    ------
    ArchiveError : the archive is damaged, encrypted or dangerous, or the disk cannot hold it; nothing is left in ``into``.
    Cancelled : nothing is left in ``into``.
    """
    existed = into.exists()
    if existed and any(into.iterdir()):
        raise ArchiveError(f"{into} is not empty; {archive.name} is unpacked only into a new folder")
    try:
        into.mkdir(parents=True, exist_ok=True)
        return _Unpacking(archive, into, limits or Limits(), nested, cancel).unpack(archive, into, progress)
    except BaseException as error:
        shutil.rmtree(into, ignore_errors=True)
        if existed:
            into.mkdir(exist_ok=True)
        if isinstance(error, OSError):
            raise ArchiveError(f"{archive} could not be unpacked: {error.strerror or error}") from error
        raise


class _Unopenable(ArchiveError):
    """The archive is damaged or encrypted: useless, but not dangerous."""


class _Unpacking:
    """One job: the outer archive and those inside it share what may come out."""

    def __init__(self, archive: Path, into: Path, limits: Limits, nested: bool, cancel: CancelToken) -> None:
        self._name = str(archive)
        self._packed_bytes = max(archive.stat().st_size, 1)
        self._free_bytes = int(shutil.disk_usage(into).free * SPARE_DISK_SHARE)
        self._limits = limits
        self._nested = nested
        self._cancel = cancel
        self._entries = 0
        self._bytes = 0

    def unpack(self, archive: Path, into: Path, progress: Progress, *, label: str = "", depth: int = 1) -> list[Path]:
        """Unpack one archive; ``label`` names it inside the others."""
        label = label or self._name
        if depth > self._limits.depth:
            raise ArchiveError(f"{self._name} holds archives more than {self._limits.depth} levels deep; it is refused")
        files: list[Path] = []
        places = Places(into)
        with _opened(archive, label, self._limits) as source:
            entries = source.infolist()
            for number, entry in enumerate(entries):
                self._count_entry()
                progress(number, len(entries), f"unpacking {self._name}")
                parts, is_folder = safe_parts(entry, self._name)
                if is_folder or not parts:
                    places.folder(parts)
                    continue
                target = places.file(parts)
                self._inflate(source, entry, target, label)
                files += self._inside(target, f"{label}/{'/'.join(parts)}", depth)
        return files

    def _inside(self, file: Path, label: str, depth: int) -> list[Path]:
        """Unpack a file in its own place if it is an archive; otherwise return the file itself."""
        if not self._nested or not is_archive(file):
            return [file]
        packed = file.with_name(f".{uuid.uuid4().hex}.packed")
        file.rename(packed)
        file.mkdir()
        try:
            files = self.unpack(packed, file, no_progress, label=label, depth=depth + 1)
        except _Unopenable:
            shutil.rmtree(file)
            packed.rename(file)
            return [file]
        packed.unlink()
        return files

    def _inflate(self, source: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, label: str) -> None:
        try:
            with source.open(entry) as packed, open(target, "xb") as file:
                size = 0
                for chunk in _chunks(packed):
                    size += len(chunk)
                    self._count_bytes(len(chunk), size, entry.filename)
                    file.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
            raise _Unopenable(f"{label} is a damaged zip archive: {entry.filename!r}: {error}") from error

    def _count_entry(self) -> None:
        self._cancel.check()
        self._entries += 1
        if self._entries > self._limits.entries:
            raise ArchiveError(f"{self._name} holds more than {self._limits.entries} files; it is refused")

    def _count_bytes(self, count: int, of_file: int, entry: str) -> None:
        """Account for ``count`` more bytes, the file being ``of_file`` bytes long so far."""
        self._cancel.check()
        self._bytes += count
        limits = self._limits
        if of_file > limits.file_bytes:
            raise ArchiveError(
                f"{entry!r} in {self._name} unpacks to more than {_size(limits.file_bytes)}; it is refused"
            )
        if self._bytes > limits.total_bytes:
            raise ArchiveError(f"{self._name} unpacks to more than {_size(limits.total_bytes)}; it is refused")
        if self._bytes > max(limits.ratio_from_bytes, limits.ratio * self._packed_bytes):
            raise ArchiveError(
                f"{self._name} unpacks to more than {limits.ratio:.0f} times its size, as archives made to do harm do; it is "
                "refused. Unpack it by hand if you trust it, and give the folder"
            )
        if self._bytes > self._free_bytes:
            raise ArchiveError(
                f"{self._name} needs more than the free space on the disk; free some space and run again"
            )


def _opened(archive: Path, label: str, limits: Limits) -> zipfile.ZipFile:
    _check_directory(archive, label, limits)
    try:
        source = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError) as error:
        raise _Unopenable(f"{label} is a damaged zip archive: {error}") from error
    try:
        for entry in source.infolist():
            if entry.flag_bits & 0x1:
                raise _Unopenable(f"{label} is encrypted; unpack it with its password first and give the folder")
            if entry.compress_type not in METHODS:
                raise _Unopenable(f"{label} uses a compression other than deflate; unpack it first and give the folder")
    except _Unopenable:
        source.close()
        raise
    return source


def _check_directory(archive: Path, label: str, limits: Limits) -> None:
    """Refuse an archive whose directory alone would fill the memory; zipfile reads it as a whole.

    References
    ----------
    PKWARE APPNOTE 4.3.14 to 4.3.16 (end of central directory, also of Zip64)
    """
    with open(archive, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail_size = min(size, 0xFFFF + 22 + 20)  # the longest comment, the record, the Zip64 locator before it
        file.seek(size - tail_size)
        tail = file.read(tail_size)
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or end + 22 > len(tail):
            raise _Unopenable(f"{label} is a damaged zip archive: it has no directory at its end")
        (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
        if end >= 20 and tail[end - 20 : end - 16] == b"PK\x06\x07":
            (place,) = struct.unpack_from("<Q", tail, end - 12)
            file.seek(min(place, size))
            record = file.read(56)
            directory_bytes = struct.unpack_from("<Q", record, 40)[0] if len(record) == 56 else 0
    if directory_bytes > limits.entries * LARGEST_DIRECTORY_ENTRY:
        raise ArchiveError(f"{label} has a directory of {_size(directory_bytes)}; it is refused")


def _chunks(packed: IO[bytes]) -> Iterator[bytes]:
    while chunk := packed.read(CHUNK):
        yield chunk


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.0f} {unit}"
